"""Completion of a command line that is typed in the page, from the declarations of the commands.

>>> completions("fit llama3-8b --gpu h10", [])[0]
20
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from ..cli.commands import load
from ..cli.completion import completer
from ..cli.spec import Command, Option
from ..cli.table import GROUPS, PROGRAM, split
from ..cli.texts import texts

MOST = 60  # items of a list
HIDDEN = ("plan", "verify", "web")
OUTPUT = ("--output", "--force", "--color")  # without use in the page
Item = tuple[str, str]


def completions(text: str, files: Sequence[str]) -> tuple[int, list[Item]]:
    """Return the position where the last word of a text starts, and the words that may stand there.

    Args:
        text: the line up to the cursor.
        files: paths of files that were opened in the page.
    """
    start = max(text.rfind(" "), text.rfind("\t"), text.rfind("\n")) + 1
    try:
        words = shlex.split(text[:start])
    except ValueError:  # inside a quotation
        return start, []
    at = 1 if words[:1] == [PROGRAM] else 0
    typed = text[start:]
    flag, equals, value = typed.partition("=")
    if equals and flag.startswith("--"):
        start += len(flag) + 1
    prefix = value if equals else typed.lower()
    found = dict.fromkeys(item for item in _items(words[at:], typed, files) if item[0].startswith(prefix))
    return start, list(found)[:MOST]


def _items(words: list[str], typed: str, files: Sequence[str]) -> Iterable[Item]:
    name, rest = split(words)
    if not name:
        return _names(words)
    if name.split()[0] in HIDDEN or "--" in rest:
        return ()
    command = load(name)
    flag, equals, value = typed.partition("=")
    if equals:
        return _values(command.options.get(flag), value, files)
    option = command.options.get(rest[-1]) if rest else None
    if option and option.kind is not bool:
        return _values(option, typed, files)
    if typed.startswith("-"):
        return _flags(command, rest)
    place = _position(command, rest)
    source = command.arguments[min(place, len(command.arguments) - 1)] if command.arguments else None
    if source is None or (place >= len(command.arguments) and not source.many):
        return _flags(command, rest)
    return _named(source.complete, typed, files)


def _names(words: list[str]) -> Iterable[Item]:
    """Return the commands, or those of a group."""
    group = words[0] if words else ""
    if words and group not in GROUPS:
        return ()
    known = {name: str(of["help"]) for name, of in texts("commands").items() if name.split()[0] not in HIDDEN}
    if group:
        return [(name.split()[1], text) for name, text in known.items() if name.startswith(f"{group} ")]
    groups = texts("groups")
    return sorted({name.split()[0]: groups.get(name.split()[0], text) for name, text in known.items()}.items())


def _flags(command: Command, words: list[str]) -> Iterable[Item]:
    """Return the options that are not given yet, or can be repeated."""
    for flag, option in command.options.items():
        if flag.startswith("--") and flag not in OUTPUT and (flag not in words or option.repeatable):
            yield flag, option.help


def _values(option: Option | None, typed: str, files: Sequence[str]) -> Iterable[Item]:
    if option is None:
        return ()
    if option.choices:
        return [(choice, "") for choice in option.choices]
    return _named(option.complete, typed, files if option.metavar == "FILE" or option.complete == "models" else ())


def _named(source: str, typed: str, files: Sequence[str]) -> Iterable[Item]:
    """Return the files, and the names of a source that begin with a text."""
    return [(shlex.quote(name), "") for name in (*files, *(completer(source)(typed) if source else ()))]


def _position(command: Command, words: list[str]) -> int:
    """Return how many positional arguments are given."""
    count, rest = 0, iter(words)
    for word in rest:
        option = command.options.get(word)
        if option is None:
            count += not word.startswith("-")
        elif option.kind is not bool:
            next(rest, None)
    return count
