"""Usage errors: what is wrong with a command line, and what to type instead.

``typer_app.py`` finds most of them. Without typer, as in a browser, ``run`` explains what ``parser.py`` finds.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core.errors import InputError, short_repr
from .commands import load
from .errors import option_hint, print_error
from .parser import UsageError, did_you_mean, read
from .table import COMMANDS, GROUPS, PROGRAM, split

BAD_INPUT = 2
ROOT_FLAGS = ("--version", "--help")


def run(words: Sequence[str]) -> int:
    """Run a command line, or explain what is wrong with it, and return the exit code."""
    name, rest = split(list(words))
    try:
        if not name:
            raise _unknown_command(words)
        command = load(name)
        return command.run(**read(command, rest))
    except InputError as error:
        print_error(error, words)
    except UsageError as error:
        print_error(describe(error, list(words)), words, error.flag)
    return BAD_INPUT


def describe(error: UsageError, words: list[str]) -> InputError:
    """Return the error with a suggestion and instructions for getting help."""
    name = split(words)[0] or next((word for word in words[:1] if word in GROUPS), "")
    hint = ""
    if error.flag.startswith("--") and error.message.startswith("no such option"):
        hint = option_hint(error.flag, name, error.known)
    elif error.flag or error.word:
        hint = did_you_mean(error.flag or error.word, error.known)
    if " is an option of " not in hint:
        hint = f"{hint} (see {' '.join(filter(None, (PROGRAM, name)))} --help)".strip()
    return InputError(error.message, hint=hint)


def _unknown_command(words: Sequence[str]) -> UsageError:
    group = next((word for word in words[:1] if word in GROUPS), "")
    word = next(iter(words[1:] if group else words), "")
    if word.startswith("-"):
        return UsageError(f"no such option: {word}", word, known=ROOT_FLAGS)
    inner = [name.split()[1] for name in COMMANDS if name.startswith(f"{group} ")]
    known = inner if group else [*(name for name in COMMANDS if " " not in name), *GROUPS]
    return UsageError(f"no such command {short_repr(word)}", word=word, known=known)
