"""Usage errors: what is wrong with a command line, and what to type instead."""

from __future__ import annotations

from ..core.errors import InputError, short_repr
from .errors import option_hint, print_error
from .parser import UsageError, did_you_mean
from .table import COMMANDS, GROUPS, PROGRAM, split

ROOT_FLAGS = ("--version", "--help")


def explain(error: UsageError, words: list[str]) -> None:
    """Print a usage error with a suggestion and instructions for getting help."""
    name = split(words)[0] or next((word for word in words[:1] if word in GROUPS), "")
    hint = ""
    if error.flag.startswith("--") and error.message.startswith("no such option"):
        hint = option_hint(error.flag, name, error.known)
    elif error.flag or error.word:
        hint = did_you_mean(error.flag or error.word, error.known)
    if " is an option of " not in hint:
        hint = f"{hint} (see {' '.join(filter(None, (PROGRAM, name)))} --help)".strip()
    print_error(InputError(error.message, hint=hint), words, error.flag)


def unknown_command(group: str, word: str) -> UsageError:
    """Return the error for an unknown command of the program or of a group."""
    if word.startswith("-"):
        return UsageError(f"no such option: {word}", word, known=ROOT_FLAGS)
    inner = [name.split()[1] for name in COMMANDS if name.startswith(f"{group} ")]
    known = inner if group else [*(name for name in COMMANDS if " " not in name), *GROUPS]
    return UsageError(f"no such command {short_repr(word)}", word=word, known=known)
