"""What the worker of the page answers: messages in, plain data out.

>>> handle({"kind": "run", "line": "params gpt2"})["code"]
0
"""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from ..cli.commands import load
from ..cli.main import BAD_INPUT, main
from ..cli.table import PROGRAM, split
from ..core.errors import InputError

Message = dict[str, Any]


def handle(message: Message) -> Message:
    """Answer a message of the page."""
    try:
        return _answer(message)
    except InputError as error:
        return {"code": BAD_INPUT, "text": f"error: {error}", "html": ""}


def handle_text(text: str) -> str:
    """Answer a message that is JSON text with JSON text."""
    return json.dumps(handle(json.loads(text)), ensure_ascii=False)


def _answer(message: Message) -> Message:
    kind = message.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"unknown kind of message {kind!r}")
    return KINDS[kind](message)


def _run(message: Message) -> Message:
    """Run a command line and return its exit code, its HTML document if it has one, and the text it printed."""
    words = shlex.split(message["line"])
    words = words[1:] if words[:1] == [PROGRAM] else words
    name, rest = split(words)
    has_document = bool(name) and "--format" in load(name).options and "--format" not in rest
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([*words, "--format", "html"] if has_document else words)
    html = out.getvalue() if has_document else ""
    return {"code": code, "html": html, "text": err.getvalue() + ("" if html else out.getvalue())}


def _answers(message: Message) -> Message:
    """Return the panels of a state of the page."""
    from .answers import answers

    return answers(message["state"])


KINDS: dict[str, Callable[[Message], Message]] = {"run": _run, "answers": _answers}
