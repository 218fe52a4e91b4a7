"""How a command is declared: its arguments and options, once, for both parsers, the help and the completion.

    COMMAND = Command("params", "Count the parameters of a model.", (MODEL, BY, *COMMON), run)

``cli/parser.py`` reads well-formed argument lists by these declarations at no cost; ``cli/typer_app.py`` makes the same
declarations into a typer application, which prints help, explains mistakes and completes words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.record import record
from ..core.spelling import as_keyword


@record
class Argument:
    """A positional word.

    Attributes:
        name: the keyword that ``run`` receives it by.
        help: what it is, as a phrase.
        least: how many are wanted at least; 1 for a lone one.
        many: it takes all remaining words, and arrives as a list.
        complete: the source of its completion in ``cli/completion.py``.
    """

    name: str
    help: str
    least: int = 1
    many: bool = False
    complete: str = ""


@record
class Option:
    """A long option.

    Attributes:
        flag: as it is typed, such as ``--layout``.
        name: the keyword that ``run`` receives it by.
        help: what it does, as a phrase.
        kind: ``str``, ``int``, or ``bool`` for a flag without a value.
        default: the value when it is not given; a repeatable option starts from an empty list.
        choices: the words that are accepted; none: any.
        repeatable: it may be given several times, and arrives as a list.
        metavar: what stands for its value in the help.
        complete: the source of its completion in ``cli/completion.py``.
        also: further parameters of the Python function that it sets.
        short: a second way to type it, such as ``-o``.
    """

    flag: str
    name: str
    help: str
    kind: type = str
    default: Any = None
    choices: tuple[str, ...] = ()
    repeatable: bool = False
    metavar: str = ""
    complete: str = ""
    also: tuple[str, ...] = ()
    short: str = ""


Parameter = Argument | Option


@record
class Command:
    """A command: ``run`` takes every parameter by keyword and returns the exit code."""

    name: str
    help: str
    parameters: tuple[Parameter, ...]
    run: Callable[..., int]
    example: str = ""

    @property
    def arguments(self) -> list[Argument]:
        """The positional words, in order."""
        return [parameter for parameter in self.parameters if isinstance(parameter, Argument)]

    @property
    def options(self) -> dict[str, Option]:
        """The options by flag, long and short."""
        found = [parameter for parameter in self.parameters if isinstance(parameter, Option)]
        return {flag: option for option in found for flag in (option.flag, option.short) if flag}

    def spell(self, name: str, value: str) -> str:
        """A parameter as it is typed here: ``seq`` is ``--seq``; what is not an option keeps its name."""
        known = [parameter for parameter in self.parameters if isinstance(parameter, Option)]
        for option in known:
            if name == option.name or name in option.also:
                return f"{option.flag} {value}" if value and option.kind is not bool else option.flag
        switch = next((option for option in known if option.kind is bool and option.name == value), None)
        return switch.flag if switch else as_keyword(name, value)
