"""Where a document goes: standard output, in the format that was asked for or that suits what is behind it."""

from __future__ import annotations

import sys

from ..core.errors import InputError
from ..report import render
from ..report.document import Document


def chosen_format(form: str | None, as_json: bool) -> str:
    """The format's name: as asked for, else a table on a terminal and plain text elsewhere.

    Raises:
        InputError: ``--json`` together with another ``--format``.
    """
    if as_json and form not in (None, "json"):
        raise InputError(f"--json and --format {form} contradict each other", hint="give one of them")
    if as_json:
        return "json"
    return form or ("table" if sys.stdout.isatty() else "plain")


def write(document: Document, form: str) -> None:
    """Print a document."""
    write_text(render(document, form))


def write_text(text: str) -> None:
    """Print a text; a sign that the terminal's encoding lacks is replaced rather than a reason to fail."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if not encoding.lower().startswith("utf"):
        text = text.encode(encoding, "replace").decode(encoding)
    sys.stdout.write(text if text.endswith("\n") or not text else f"{text}\n")


def warn(lines: list[str]) -> None:
    """Print warnings, one line each, where no data goes."""
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)
