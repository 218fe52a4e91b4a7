"""Parser of command lines.

The parser accepts ``--x value``, ``--x=value``, flags, short forms, repeated options, positional arguments and ``--``,
as typer does. What is wrong with any other line is explained by typer, or in a browser by ``cli/usage.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ..core.errors import InputError, nearest, short_repr
from ..core.setting import LENGTHS, SCALES, read_integer
from ..core.type_names import Any
from .spec import Argument, Command, Option


class UsageError(Exception):
    """A command line that cannot be read. ``flag`` is the option, or ``word`` the command, that is wrong."""

    def __init__(self, message: str, flag: str = "", word: str = "", known: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.message, self.flag, self.word, self.known = message, flag, word, list(known)


def read(command: Command, words: Sequence[str]) -> dict[str, Any]:
    """Return the keyword arguments of ``command.run``.

    Raises:
        UsageError: an unknown option, a missing value, or too few or too many arguments.
        InputError: an invalid value.
    """
    values: dict[str, Any] = {
        option.name: [] if option.repeatable else option.default for option in command.options.values()
    }
    positional: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            positional += rest
        elif word == "-" or not word.startswith("-"):
            positional.append(word)
        else:
            _read_option(command, word, rest, values)
    _fill(command.arguments, positional, values)
    check_count(command, values)
    return values


def _read_option(command: Command, word: str, rest: Iterator[str], values: dict[str, Any]) -> None:
    flag, equals, text = word.partition("=") if word.startswith("--") else (word[:2], word[2:], word[2:])
    option = command.options.get(flag)
    if option is None:
        raise UsageError(f"no such option: {flag}", flag, known=[each for each in command.options if each[:2] == "--"])
    if option.kind is bool:
        if equals:
            raise UsageError(f"option {short_repr(flag)} does not take a value", flag)
        values[option.name] = True
        return
    if not equals:
        following = next(rest, None)
        if following is None:
            raise UsageError(f"option {short_repr(flag)} requires an argument", flag)
        text = following
    value, given = checker(option)(text), values[option.name]
    if option.repeatable:
        value = [*given, value]
    elif option.flag == "--gpu" and given is not None:
        if not option.joined:
            raise InputError("is given twice", parameter="gpu", hint="name one kind of GPU, and ask once for each")
        value = f"{given},{value}"
    values[option.name] = value


def _fill(arguments: Sequence[Argument], words: list[str], values: dict[str, Any]) -> None:
    """Assign positional arguments."""
    for argument in arguments:
        taken = words if argument.many else words[:1]
        if argument.least and not taken:
            raise UsageError(f"missing argument {short_repr(argument.name)}")
        words = words[len(taken) :]
        values[argument.name] = list(taken) if argument.many else next(iter(taken), None)
    if words:
        raise UsageError(f"got unexpected extra argument(s) ({' '.join(words)})")


def check_count(command: Command, values: dict[str, Any]) -> None:
    """Raise an error if a list of arguments is too short."""
    for argument in command.arguments:
        given = values[argument.name]
        if argument.many and len(given) < argument.least:
            from .texts import examples

            message = f"{command.name} requires at least {argument.least} {argument.name}, not {len(given)}"
            raise InputError(message, hint=f"for example: {examples(command.name)[0]}")


def checker(option: Option) -> Callable[[str | None], Any]:
    """Return a function that checks and converts the value of an option with choices, or of a number."""

    def check(value: str | None) -> Any:
        if value is None:
            return None
        if option.choices and value not in option.choices:
            hint = did_you_mean(value, option.choices) or f"use one of {', '.join(option.choices)}"
            raise InputError(f"invalid value {short_repr(value)}", parameter=option.name, hint=hint)
        if option.kind is int:
            number = read_integer(value, SCALES if option.name in LENGTHS else None)  # lengths may end in k or M
            if number is None:
                kind = "length" if option.name in LENGTHS else "value"
                own = "a number such as 8192 or 32k" if kind == "length" else "an integer in digits, such as 16"
                raise InputError(f"invalid {kind} {short_repr(value)}", parameter=option.name, hint=f"use {own}")
            return number
        return value

    return check


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return a question that suggests similar words, or an empty text."""
    near = nearest(word, known)
    return f"did you mean {' or '.join(near)}?" if near else ""
