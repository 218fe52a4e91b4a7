"""What the worker of the page answers: messages in, plain data out.

>>> handle({"kind": "run", "line": "params gpt2"})["code"]
0

A message may come from a link, so a command line is bounded, and cannot write a file.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from glob import glob
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..cli.commands import load
from ..cli.main import BAD_INPUT, INTERNAL_ERROR, main
from ..cli.table import PROGRAM, split
from ..core.errors import InputError, UnknownNameError, short_repr
from ..core.printable import LONGEST_NAME, cut, printable
from ..data import tables

Message = dict[str, Any]
LONGEST_LINE = 10_000  # characters
LARGEST_PAGE, LARGEST_TEXT = 8_000_000, 400_000  # characters of an answer
NEEDS_NUMPY = "needs NumPy, which the page does not have"
REFUSED = {
    "verify": NEEDS_NUMPY,
    "plan": NEEDS_NUMPY,
    "web build": "cannot run in the page itself",
    "web serve": "cannot run in the page itself",
}
HELP = ("--help", "-h")
TO_FILE = ("-o", "--output")
STDOUT = "-"
HUB, OPENED = "hf:", "/files"  # of opened files, each in a folder
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}")


def handle(message: Any) -> Message:
    """Answer a message. An error has a ``code`` other than 0 and its message as ``text``."""
    try:
        kind = message.get("kind") if isinstance(message, dict) else None
        if not isinstance(kind, str) or kind not in KINDS:
            raise InputError(f"unknown kind of message {short_repr(kind)}")
        return KINDS[kind](message)
    except InputError as error:
        return {"code": BAD_INPUT, "text": f"error: {cut(str(error))}", "html": ""}
    except Exception as error:
        text = printable(f"{type(error).__name__}: {error}", LONGEST_NAME)
        return {"code": INTERNAL_ERROR, "text": f"error: llmcalc failed: {text}", "html": ""}


def handle_text(text: str) -> str:
    """Answer a message that is JSON text with JSON text."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        message = None
    return json.dumps(handle(message))


def warm_up() -> None:
    """Import what most visits need, before the memory of this Python is kept for later ones."""
    for line in ("params gpt3", "fit llama3-8b --gpu h100 --solve seq", "latency llama3-8b --gpu h100"):
        handle({"kind": "run", "line": line})
    handle({"kind": "complete", "line": "fit llama3-8b --gpu "})
    handle(
        {"kind": "answers", "state": {"model": "llama3.1-8b", "gpu": "h100", "panels": ["verdict", "charts", "blocks"]}}
    )


def _text(message: Message, name: str, longest: int = LONGEST_LINE) -> str:
    """Return a text of a message, which must be given and not too long."""
    text = message.get(name)
    if not isinstance(text, str):
        raise InputError(f"{name} must be a text, not {short_repr(text)}")
    if len(text) > longest:
        raise InputError(f"{name} has {len(text):,} characters, more than {longest:,}")
    return text


def _run(message: Message) -> Message:
    """Run a command line. Return its exit code, its HTML document if it has one, and what else it printed."""
    words, has_document = _command_line(_text(message, "line"))
    out, err = io.StringIO(), io.StringIO()
    os.environ["COLUMNS"] = str(_columns(message))
    stdin, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO())
    try:
        with _files(message), redirect_stdout(out), redirect_stderr(err):
            code = main(words)
    finally:
        sys.stdin = stdin
        del os.environ["COLUMNS"]
    printed = out.getvalue()
    html = printed if has_document else ""
    if len(html) > LARGEST_PAGE:
        hint = "choose less, or run the command line on your computer"
        raise InputError(f"the document has {len(html):,} characters, more than the page shows", hint=hint)
    return {"code": code, "html": html, "text": cut(err.getvalue() + ("" if html else printed), LARGEST_TEXT)}


@contextmanager
def _files(message: Message) -> Iterator[None]:
    """Write the files of a message into a new folder, which is the working folder meanwhile."""
    files = message.get("files") or {}
    if not isinstance(files, dict) or not all(isinstance(text, str) for text in files.values()):
        raise InputError("files must map names to texts")
    if not files:
        yield
        return
    with TemporaryDirectory() as folder, chdir(folder):
        for name, text in files.items():
            if not _NAME.fullmatch(name):
                raise InputError(f"invalid file name {short_repr(name)}", hint="use letters, digits and . _ -")
            Path(name).write_text(text, "utf-8", "backslashreplace")
        yield


def _columns(message: Message) -> int:
    """Return the width for plain text, in characters."""
    columns = message.get("columns")
    return min(max(columns, 40), 200) if type(columns) is int else 100


def _command_line(line: str) -> tuple[list[str], bool]:
    """Return the words of a command line that may run here, and whether it prints an HTML document.

    The document is asked for unless the line names a format.

    Raises:
        InputError: the command cannot run in the page, or would write a file.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise InputError(f"invalid command line: {str(error).lower()}") from None
    words = words[1:] if words[:1] == [PROGRAM] else words
    helped = words[1:] if words[:1] == ["help"] else words
    name, rest = split(helped)
    _check_reachable(words, name, line)
    own = rest[: rest.index("--")] if "--" in rest else rest  # what follows is the command line of an engine
    if not name or helped is not words or set(own) & set(HELP):
        return words, False
    if name in REFUSED:
        raise InputError(f"{name} {REFUSED[name]}", hint=f"install llmcalc and run: {PROGRAM} {shlex.join(words)}")
    _check_no_file(own)
    rest = [_opened(word) for word in rest]
    if name == "report":
        added = [] if set(own) & set(TO_FILE) or f"--output={STDOUT}" in own else ["--output", STDOUT]
        return [name, *added, *rest], True
    flags = {word.partition("=")[0] for word in own}
    has_document = "--format" in load(name).options and not flags & {"--format", "--json"}
    return [*name.split(), *(["--format", "html"] if has_document else []), *rest], has_document


def _check_reachable(words: Sequence[str], name: str, line: str) -> None:
    """Raise an error if a line is that of an engine, or names a model on the Hugging Face Hub."""
    programs = [f"{program} " for entry in tables("engines").values() for program in entry.get("programs", ())]
    if not name and f"{shlex.join(words)} ".startswith(tuple(programs)):
        hint = f"run: {PROGRAM} serve --gpu h100 -- {line.strip()}"
        raise InputError(f"{words[0]} is a program of a serving engine", hint=hint)
    if hub := next((word for word in words if word.startswith(HUB)), None):
        hint = "paste or drop the config.json of the model"
        raise InputError(f"{hub}: the page does not read models from a network", hint=hint)


def _opened(word: str) -> str:
    """Return the path of a file that was opened in the page, if a word is only its name."""
    if not _NAME.fullmatch(word) or os.path.exists(word):
        return word
    return max(glob(f"{OPENED}/*/{word}"), key=os.path.getmtime, default=word)


def _check_no_file(words: Sequence[str]) -> None:
    """Raise an error if an option names a file to write."""
    for word, value in pairwise((*words, "")):
        flag, equals, attached = word.partition("=")
        is_short = word.startswith("-o") and word != "-o"
        if (flag in TO_FILE and (attached if equals else value) != STDOUT) or is_short:
            hint = "omit it, and save the result with the buttons of the page"
            raise InputError(f"{word}: the page cannot write a file", hint=hint)


def _complete(message: Message) -> Message:
    """Return the completions of the word at the cursor, and where this word starts."""
    from .line_completion import completions

    line, cursor = _text(message, "line"), message.get("cursor")
    end = cursor if type(cursor) is int and 0 <= cursor <= len(line) else len(line)
    files = message.get("files")
    names = [name for name in files if isinstance(name, str)] if isinstance(files, list) else []
    start, items = completions(line[:end], names)
    return {"code": 0, "start": start, "end": end, "items": [{"text": text, "help": note} for text, note in items]}


def _name(message: Message) -> Message:
    """Return the name that a text means: of a model as it is typed, and of a GPU with the number if it states one."""
    from ..inputs.gpus import read_gpus
    from ..inputs.repository_names import find_model
    from ..schema.preset_files import names

    text = _text(message, "text", LONGEST_NAME).strip()
    if message.get("of") != "gpu":
        if find_model(text) is None:
            raise UnknownNameError("model", text, names(), hint="choose one from the list, or use your own config")
        return {"code": 0, "name": text}
    gpus = read_gpus(text)
    if gpus.accelerator is None:
        raise InputError(f"{short_repr(text)} is not the name of a GPU", hint="choose a GPU such as h100")
    return {"code": 0, "name": gpus.accelerator.name, "count": gpus.count}


def _answers(message: Message) -> Message:
    """Return what the panels of the page show for a state."""
    from .answers import answers

    state = message.get("state")
    if not isinstance(state, dict):
        raise InputError(f"state must be a mapping, not {short_repr(state)}")
    return answers(state)


KINDS: dict[str, Callable[[Message], Message]] = {
    "run": _run, "complete": _complete, "name": _name, "answers": _answers,
}  # fmt: skip
