"""Entry point of the ``llmcalc`` command line.

Command lines are parsed without typer to start faster. Typer only completes words in a shell. Exit codes are 0
(success), 1 (negative result), 2 (bad input) and 70 (an error of llmcalc).
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spec import Command

OK, NO, BAD_INPUT, INTERNAL_ERROR = 0, 1, 2, 70
FEWEST_OBJECTS = 100_000  # objects of a garbage collection; a short command creates fewer
SIGNALLED = 128  # exit code of a process ended by a signal: 128 + its number
SIGINT, SIGPIPE = 2, 13
HELP, VERSION, COMPLETION = ("--help", "-h"), (["--version"], ["-V"]), (["--install-completion"], ["--show-completion"])
COMMAND = "--command"  # option whose value may also follow --


def script() -> int:
    """Run the command line of this process, with rare garbage collection and none at exit, to finish faster."""
    import gc

    gc.set_threshold(FEWEST_OBJECTS)
    code = main()
    gc.freeze()
    return code


def main(arguments: list[str] | None = None) -> int:
    """Run a command line and return the exit code. Only results are written to standard output."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        code = _dispatch(words)
        if sys.stdout:  # None if standard output is closed
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
    except Exception as error:
        if os.environ.get("LLMCALC_DEBUG"):
            raise
        return _internal_error(error)
    return code


def _internal_error(error: Exception) -> int:
    """Print an unexpected error in one line."""
    from ..core.printable import LONGEST_NAME, printable

    text = printable(f"{type(error).__name__}: {error}", LONGEST_NAME)
    print(f"error: llmcalc failed: {text}\n  set LLMCALC_DEBUG=1 to see where", file=sys.stderr)
    return INTERNAL_ERROR


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["help"] and words[1:2] != ["quantities"]:
        words = [*words[1:], "--help"]
    if words[:1] in VERSION:
        from .. import __version__

        print(f"llmcalc {__version__}")
        return OK
    from ..core.errors import SPELLING

    token = SPELLING.set(lambda name, value: _spell(words, name, value))
    try:
        return _run(words)
    finally:
        SPELLING.reset(token)


def _spell(words: list[str], name: str, value: str) -> str:
    """Format a parameter name as a command-line option for error messages."""
    from ..core.errors import as_keyword
    from .commands import load
    from .options import READING
    from .table import split

    command, _ = split(words)
    if not command:
        return as_keyword(name, value)
    reading = next((option for option in READING if option.name == name), None)  # also suggested for another command
    return reading.spell(value) if reading else load(command).spell(name, value)


def _current(command: Command, words: list[str]) -> list[str]:
    """Replace other names of the command's options and values of engines. Print a warning for each deprecated name."""
    from ..core.aliases import ENGINE_OPTIONS, ENGINE_VALUES, OPTIONS

    found: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--" and COMMAND in command.options:  # the rest is the command line of another program
            from shlex import join

            return [*found, COMMAND, join(rest)]
        flag, equals, value = word.partition("=")
        new = OPTIONS.get(flag) or ENGINE_OPTIONS.get(flag.replace("_", "-"))
        is_other = new and flag not in command.options and new in command.options
        if is_other and flag in OPTIONS:
            print(f"warning: {flag} is now called {new}", file=sys.stderr)
        own = new if is_other and new else flag
        if own not in command.options or own not in (*ENGINE_VALUES, "--reserve" if is_other else ""):
            found.append(f"{own}{equals}{value}")
            continue
        given = value if equals else next(rest, "")
        value = _share_left(given) if own == "--reserve" else ENGINE_VALUES[own].get(given.lower(), given)
        found += [own, value] if value else [flag, given] if own == "--reserve" else [] if given else [own]
    return found


def _share_left(share: str) -> str:
    """Return the percentage that remains of a share such as 0.9, or an empty string if the share is invalid."""
    try:
        left = 1 - float(share)
    except ValueError:
        return ""
    return f"{100 * left:.6g}%" if 0 <= left < 1 else ""


def _run(words: list[str]) -> int:
    from .table import split

    name, rest = split(words)
    if "_LLMCALC_COMPLETE" in os.environ or words[:1] in COMPLETION:
        from .typer_app import complete

        return complete(words)
    from ..core.errors import InputError
    from .parser import UsageError, read

    try:
        if not name:
            return _group_help(words)
        from .commands import load

        command = load(name)
        rest = _current(command, rest)
        if not set(HELP).isdisjoint(rest):
            rest = [word for word in rest if word not in HELP]
            flags = rest if all(word.startswith("-") for word in rest) else []
            if set(flags) <= command.options.keys():
                from .help_screen import print_help

                print_help(name, flags)
                return OK
        return command.run(**read(command, rest))
    except InputError as error:
        from .errors import print_error

        print_error(error, words)
    except UsageError as error:
        from .usage import explain

        explain(error, [*name.split(), *rest])
    return BAD_INPUT


def _group_help(words: list[str]) -> int:
    """Print the help of the program or of a group of commands. Raise an error for other words."""
    from .table import GROUPS

    name = next((word for word in words[:1] if word in GROUPS), "")
    rest = words[1:] if name else words
    if rest and rest[0] not in HELP:
        from .usage import unknown_command

        raise unknown_command(name, rest[0])
    from .help_screen import print_help

    print_help(name)
    return OK


def _discard(stream: object) -> None:
    """Redirect a stream to the null device so that the interpreter can flush the stream at exit."""
    from contextlib import suppress

    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[attr-defined]
