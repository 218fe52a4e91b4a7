"""The entry point: ``llmcalc ARGUMENTS``.

A well-formed command line goes straight to its command; help, completion and everything that is not understood go to
typer, which knows the same declarations but takes longer to start. Exit codes: 0 ok, 1 the answer is no, 2 bad input.
"""

from __future__ import annotations

import os
import sys

OK, NO, BAD_INPUT = 0, 1, 2
SIGNALLED = 128  # a shell's exit code of a process that a signal ends: 128 + its number
SIGINT, SIGPIPE = 2, 13


def main(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code; nothing but data goes to standard output."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return SIGNALLED + SIGINT
    except BrokenPipeError:
        _let_go_of(sys.stdout)
        return SIGNALLED + SIGPIPE
    except OSError as error:  # a full disk, a closed descriptor: reading errors arrive as InputError
        print(f"error: cannot write the output: {error.strerror or error}", file=sys.stderr)
        _let_go_of(sys.stdout)
        return BAD_INPUT
    return code


def _dispatch(words: list[str]) -> int:
    if words == ["--version"]:
        from .. import __version__

        print(f"llmcalc {__version__}")
        return OK
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


def _let_go_of(stream: object) -> None:
    """Point a stream at nothing, so that the interpreter does not complain when it flushes it at exit."""
    from contextlib import suppress

    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[attr-defined]
