"""Command declarations shared by both parsers, the help and shell completion.

    COMMANDS = (Command("params", (MODEL, BY, *OUTPUT), run),)

``cli/parser.py`` parses well-formed command lines according to these declarations. ``cli/typer_app.py``
converts them to a typer application that explains errors and completes words. ``cli/help_screen.py`` draws the help.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..core.errors import as_keyword
from ..core.record import record
from ..core.setting import TEXTS, Setting
from ..core.type_names import Any


@record
class Argument:
    """A positional argument.

    Attributes:
        name: keyword argument of ``run``.
        help: one-phrase description.
        least: minimum number of values.
        many: whether to collect all remaining values in a list.
        complete: source of completions in ``cli/completion.py``.
        metavar: placeholder in the help (default: the name in capitals).
    """

    name: str
    help: str
    least: int = 1
    many: bool = False
    complete: str = ""
    metavar: str = ""

    def __post_init__(self) -> None:
        self.__dict__["metavar"] = self.metavar or self.name.upper()


@record
class Option:
    """A command-line option.

    Attributes:
        flag: long form, such as ``--layout``.
        help: one-phrase description.
        metavar: placeholder for the value in the help (default: ``N`` for an integer).
        name: keyword argument of ``run`` and of the Python function (default: derived from the flag).
        kind: ``str``, ``int``, or ``bool`` for a flag without a value.
        default: default value. A repeatable option defaults to an empty list.
        choices: allowed values (empty: any).
        repeatable: whether the option may be repeated. If so, the values are collected in a list.
        complete: source of completions in ``cli/completion.py``.
        joined: whether the option may be repeated, which is the same as one value with commas.
        also: other parameters of the Python function that this option sets.
        short: short form, such as ``-o``.
        example: a number, if the value is read as an amount such as 1M or 2.5.
    """

    flag: str
    help: str
    metavar: str = ""
    name: str = ""
    kind: type = str
    default: Any = None
    choices: tuple[str, ...] = ()
    repeatable: bool = False
    complete: str = ""
    also: tuple[str, ...] = ()
    short: str = ""
    joined: bool = False
    example: str = ""

    def __post_init__(self) -> None:
        own = self.__dict__
        own["name"] = self.name or self.flag.removeprefix("--").replace("-", "_")
        own["metavar"] = self.metavar or ("N" if self.kind is int else "")
        own["default"] = False if self.kind is bool else self.default

    def spell(self, value: str = "") -> str:
        """Return the option with a value, or once per comma-separated value if it is repeatable."""
        if self.kind is bool:
            return self.flag
        return " ".join(f"{self.flag} {one}".rstrip() for one in (value.split(",") if self.repeatable else [value]))

    @property
    def label(self) -> str:
        """The option with the placeholder or the choices of its value, such as ``--batch N``."""
        return f"{self.flag} {self.metavar or '|'.join(self.choices)}".rstrip()


def option_of(setting: Setting, **texts: Any) -> Option:
    """Return the command-line option for a setting, with the same accepted values and default.

    ``texts`` replaces fields of the option, such as ``help``. A switch that is on by default is turned off by an option
    of another name.

    >>> from ..core.setting import MODE
    >>> option_of(MODE).choices
    ('forward', 'train', 'decode')
    """
    kind = setting.typed if isinstance(setting.typed, type) else setting.kind
    kind = kind if kind in (int, bool) else str
    choices = setting.typed if isinstance(setting.typed, tuple) else setting.choices
    is_reversed, repeatable = setting.default is True, setting.kind == TEXTS
    own = {
        "flag": f"--{setting.option or setting.name.replace('_', '-')}", "metavar": setting.metavar, "kind": kind,
        "help": setting.help.replace("{", "--").replace("}", ""), "complete": setting.complete,
        "name": "" if is_reversed else setting.name, "also": (setting.name,) if is_reversed else (),
        "default": None if repeatable else setting.default, "repeatable": repeatable, "example": setting.example,
        "choices": choices if kind is str else (),
    }  # fmt: skip
    return Option(**{**own, **texts})


Parameter = Argument | Option


@record
class Command:
    """A command. ``run`` receives all parameters as keyword arguments and returns the exit code."""

    name: str
    parameters: tuple[Parameter, ...]
    run: Callable[..., int]

    @property
    def help(self) -> str:
        """One-line help text."""
        from .texts import texts

        return str(texts("commands")[self.name]["help"])

    @property
    def arguments(self) -> list[Argument]:
        """Positional arguments, in order."""
        return [parameter for parameter in self.parameters if isinstance(parameter, Argument)]

    @property
    def options(self) -> dict[str, Option]:
        """Options by long and short flag."""
        found = [parameter for parameter in self.parameters if isinstance(parameter, Option)]
        return {flag: option for option in found for flag in (option.flag, option.short) if flag}

    def spell(self, name: str, value: str) -> str:
        """Format a parameter as an option of this command, such as ``--seq``, or else as a keyword argument."""
        known = [parameter for parameter in self.parameters if isinstance(parameter, Option)]
        switch = next((option for option in known if option.kind is bool and option.name == value), None)
        if switch:  # such as --training for mode="training"
            return switch.flag
        own = next((option for option in known if name in (option.name, *option.also)), None)
        return own.spell(value) if own else as_keyword(name, value)

    def line(self, values: Mapping[str, Any]) -> str:
        """Return a command line with these values. Options that are missing or have their default are omitted."""
        from shlex import quote

        words = [values.get(argument.name) for argument in self.arguments]
        found = [quote(str(word)) for word in words if word is not None]
        for option in (parameter for parameter in self.parameters if isinstance(parameter, Option)):
            value = values.get(option.name)
            if value not in (None, False, [], option.default):
                each = value if isinstance(value, list) else [value]
                found += [option.flag] if option.kind is bool else [f"{option.flag} {quote(str(one))}" for one in each]
        return " ".join(("llmcalc", self.name, *found))
