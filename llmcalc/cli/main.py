"""The entry point: ``llmcalc ARGUMENTS``.

A well-formed command line goes straight to its command. Help, completion and mistakes go to typer, which reads the same
declarations but takes longer to start. Exit codes: 0 ok, 1 the answer is no, 2 bad input.
"""

from __future__ import annotations

import os
import sys

OK, NO, BAD_INPUT = 0, 1, 2
SIGNALLED = 128  # exit code of a process ended by a signal: 128 + its number
SIGINT, SIGPIPE = 2, 13


def main(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code; standard output receives only data."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return SIGNALLED + SIGINT
    except BrokenPipeError:
        _discard(sys.stdout)
        return SIGNALLED + SIGPIPE
    except OSError as error:  # such as a full disk or a closed descriptor; reading errors are raised as InputError
        print(f"error: cannot write the output: {error.strerror or error}", file=sys.stderr)
        _discard(sys.stdout)
        return BAD_INPUT
    return code


def _dispatch(words: list[str]) -> int:
    if words == ["--version"]:
        from .. import __version__

        print(f"llmcalc {__version__}")
        return OK
    from ..core.errors import SPELLING

    words = _current(words)
    token = SPELLING.set(lambda name, value: _spell(words, name, value))
    try:
        return _run(words)
    finally:
        SPELLING.reset(token)


def _spell(words: list[str], name: str, value: str) -> str:
    """Spell a parameter as an option of the command; called only when a message mentions a parameter."""
    from ..core.errors import as_keyword
    from .commands import load
    from .options import READING
    from .table import split

    command, _ = split(words)
    if not command:
        return as_keyword(name, value)
    flag = next((option.flag for option in READING if option.name == name), "")  # also suggested for another command
    return f"{flag} {value}".rstrip() if flag else load(command).spell(name, value)


def _current(words: list[str]) -> list[str]:
    """Replace old option names, with a warning for each."""
    from ..core.aliases import OPTIONS

    found = []
    for word in words:
        flag, equals, value = word.partition("=")
        new = OPTIONS.get(flag)
        if new:
            print(f"warning: {flag} is now called {new}", file=sys.stderr)
        found.append(f"{new}{equals}{value}" if new else word)
    return found


def _run(words: list[str]) -> int:
    from .table import split

    name, rest = split(words)
    if not name or "_LLMCALC_COMPLETE" in os.environ:
        return _by_typer(words)
    from .commands import load

    command = load(name)
    from .parser import read

    values = read(command, rest)
    if values is None:
        return _by_typer(words)
    from ..core.errors import InputError

    try:
        return command.run(**values)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT


def _by_typer(words: list[str]) -> int:
    from .typer_app import run

    return run(words)


def _discard(stream: object) -> None:
    """Redirect a stream to nothing, so that the interpreter can flush it at exit."""
    from contextlib import suppress

    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[attr-defined]
