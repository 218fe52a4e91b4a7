"""Printing documents, texts and warnings."""

from __future__ import annotations

import sys

from ..core.errors import InputError
from ..report import render
from ..report.document import Document


def chosen_format(form: str | None, as_json: bool) -> str:
    """The name of the output format: as given, else ``table`` on a terminal and ``plain`` elsewhere.

    Raises:
        InputError: ``--json`` together with another ``--format``.
    """
    if as_json and form not in (None, "json"):
        raise InputError("cannot be combined with --json", parameter="form", hint="omit one of them")
    if as_json:
        return "json"
    return form or ("table" if sys.stdout.isatty() else "plain")


def write(document: Document, form: str) -> None:
    """Print a document."""
    write_text(render(document, form))


def write_text(text: str) -> None:
    """Print a text; characters outside the terminal's encoding are replaced."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if not encoding.lower().startswith("utf"):
        text = text.encode(encoding, "replace").decode(encoding)
    sys.stdout.write(text if text.endswith("\n") or not text else f"{text}\n")


def warn(lines: list[str]) -> None:
    """Print warnings to standard error, one line each."""
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)
