"""Parser of command lines.

The parser accepts ``--x value``, ``--x=value``, flags, short forms, repeated options, positional arguments and ``--``,
as typer does. ``cli/usage.py`` explains what is wrong with any other line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar

from ..core.errors import InputError, nearest, short_repr
from ..core.setting import LENGTHS, SCALES, read_integer
from ..core.type_names import Any
from .spec import Command, Option

TYPED: ContextVar[frozenset[str]] = ContextVar("TYPED", default=frozenset())  # names of options of the command line


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
    positional, typed = list[str](), set[str]()
    rest = iter(words)
    for word in rest:
        if word == "--":
            positional += rest
        elif word == "-" or not word.startswith("-"):
            positional.append(word)
        else:
            typed.add(_read_option(command, word, rest, values))
    TYPED.set(frozenset(typed))
    _fill(command, positional, values)
    return values


def _read_option(command: Command, word: str, rest: Iterator[str], values: dict[str, Any]) -> str:
    """Read an option with its value, and return its name."""
    flag, equals, text = word.partition("=") if word.startswith("--") else (word[:2], word[2:], word[2:])
    option = command.options.get(flag)
    if option is None:
        raise UsageError(f"no such option: {flag}", flag, known=[each for each in command.options if each[:2] == "--"])
    if option.kind is bool:
        if equals:
            raise UsageError(f"option {short_repr(flag)} does not take a value", flag)
        values[option.name] = True
        return option.name
    if not equals:
        following = next(rest, None)
        if following is None:
            raise UsageError(f"option {short_repr(flag)} requires an argument", flag)
        text = following
    value, given = _checked(option, text), values[option.name]
    if option.repeatable:
        value = [*given, value]
    elif option.flag == "--gpu" and given is not None:
        if not option.joined:
            raise InputError("is given twice", parameter="gpu", hint="name one kind of GPU, and ask once for each")
        value = f"{given},{value}"
    values[option.name] = value
    return option.name


def _fill(command: Command, words: list[str], values: dict[str, Any]) -> None:
    for argument in command.arguments:
        taken = words if argument.many else words[:1]
        if argument.least and not taken:
            raise UsageError(f"missing argument {short_repr(argument.name)}", argument.name)
        if len(taken) < argument.least:
            from .texts import examples

            message = f"{command.name} requires at least {argument.least} {argument.name}, not {len(taken)}"
            raise InputError(message, hint=f"for example: {examples(command.name)[0]}")
        words = words[len(taken) :]
        values[argument.name] = list(taken) if argument.many else next(iter(taken), None)
    if words and (option := command.options.get("--gpu")) and values[option.name] is None:  # as in train FILE h100:8
        values[option.name], words = words[0], words[1:]
    if words:
        raise UsageError(f"got unexpected extra argument(s) ({' '.join(words)})")


def _checked(option: Option, text: str) -> Any:
    """Return the value of an option, one of its choices or a number. Lengths may end in k or M."""
    if option.choices and text not in option.choices:
        hint = did_you_mean(text, option.choices) or f"use one of {', '.join(option.choices)}"
        raise InputError(f"invalid value {short_repr(text)}", parameter=option.name, hint=hint)
    if option.kind is not int:
        return text
    is_length = option.name in LENGTHS
    number = read_integer(text, SCALES if is_length else None)
    if number is None:
        own = "a number such as 8192 or 32k" if is_length else "an integer in digits, such as 16"
        what = f"invalid {'length' if is_length else 'value'} {short_repr(text)}"
        raise InputError(what, parameter=option.name, hint=f"use {own}")
    return number


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return a question that suggests similar words, or an empty text."""
    near = nearest(word, known)
    return f"did you mean {' or '.join(near)}?" if near else ""
