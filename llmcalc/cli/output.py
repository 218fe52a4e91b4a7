"""Print documents, texts and warnings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..core.errors import InputError
from ..report import render
from ..report.document import Document

OK, NO = 0, 1
Answer = Document | tuple[Document, bool]


def printed(command: Callable[..., Answer]) -> Callable[..., int]:
    """Wrap the ``run`` of a command that returns a document, or a document and whether the exit code is 0."""

    def run(*, form: str | None, as_json: bool, **given: Any) -> int:
        chosen = chosen_format(form, as_json)
        answer = command(**given)
        document, ok = answer if isinstance(answer, tuple) else (answer, True)
        write_text(render(document, chosen))
        return OK if ok else NO

    return run


def chosen_format(form: str | None, as_json: bool) -> str:
    """Return the requested output format, or by default ``table`` on a terminal and ``plain`` elsewhere."""
    if as_json and form not in (None, "json"):
        raise InputError("cannot be combined with --json", parameter="form", hint="omit one of them")
    return "json" if as_json else form or ("table" if sys.stdout.isatty() else "plain")


def write_text(text: str) -> None:
    """Print a text, replacing characters that the terminal's encoding lacks."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if not encoding.lower().startswith("utf"):
        text = text.encode(encoding, "replace").decode(encoding)
    sys.stdout.write(text if text.endswith("\n") or not text else f"{text}\n")


def warn(lines: list[str]) -> None:
    """Print warnings to standard error, one line each."""
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)
