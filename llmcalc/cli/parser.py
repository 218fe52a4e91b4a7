"""Fast parser for well-formed command lines.

The parser accepts ``--x value``, ``--x=value``, flags, repeated options and positional arguments. Any other
input, such as ``--help``, ``--``, a value that begins with a dash, or invalid input, is left to typer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.setting import LENGTHS, SCALES, read_integer
from .spec import Argument, Command, Option


def read(command: Command, words: Sequence[str]) -> dict[str, Any] | None:
    """Return the keyword arguments of ``command.run``, or None if typer must parse the command line."""
    options, positional = command.options, []
    values: dict[str, Any] = {option.name: [] if option.repeatable else option.default for option in options.values()}
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "-":
            positional.append(word)
            continue
        flag, equals, text = word.partition("=")
        option = options.get(flag)
        if option is None or (option.kind is bool and equals):
            return None
        if option.kind is bool:
            values[option.name] = True
            continue
        if not equals:
            text = next(rest, "-")
        value = _value(option, text)
        if value is None:
            return None
        if option.repeatable:
            values[option.name].append(value)
        else:
            values[option.name] = value
    return values if _fill(command.arguments, positional, values) else None


def _value(option: Option, text: str) -> Any:
    if text.startswith("-") or (option.choices and text not in option.choices):
        return None
    if option.kind is int:
        return read_number(option, text)
    return text


def read_number(option: Option, text: str) -> int | None:
    """Return the value of an integer option, or None if neither parser accepts the text. Lengths may end in k or M."""
    return read_integer(text, SCALES if option.name in LENGTHS else None)


def _fill(arguments: list[Argument], words: list[str], values: dict[str, Any]) -> bool:
    """Assign positional arguments. Return False if there are too few or too many."""
    for argument in arguments:
        taken = words[:] if argument.many else words[:1]
        if len(taken) < argument.least:
            return False
        words = words[len(taken) :]
        values[argument.name] = taken if argument.many else next(iter(taken), None)
    return not words
