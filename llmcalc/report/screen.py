"""The screen of a document: the answer, what was assumed, a table, what to try next, and notes.

    ✓ fits in vLLM: 4 requests of 8,192 tokens at once, at most 8
    assumed: ...

    per GPU      value  interval  what it rests on
    weights  118.4 GiB            checkpoint

    next        requests at once
    one change                 9

    note: one that can change the decision

It has at most ``MOST_LINES`` lines. The structure of the model, breakdowns and charts are left out.
"""

from __future__ import annotations

from contextvars import ContextVar

from ..core.record import changed
from .document import Document

MOST_LINES, MOST_NOTES, MOST_ROWS = 30, 3, 20
ROWS: ContextVar[int | None] = ContextVar("ROWS", default=None)  # of a list that is printed, or None without a limit


def screen(document: Document) -> Document:
    """Return what a screen shows of a document. One without a summary stays as it is."""
    if document.summary is None:
        return document
    n_notes = max(MOST_NOTES - len(document.warnings), 0)
    rest = (*document.warnings[MOST_NOTES:], *document.notes[n_notes:], *document.details)
    return changed(
        document, subtitle=(), warnings=document.warnings[:MOST_NOTES], facts=(), tables=(), charts=tuple,
        notes=document.notes[:n_notes], details=rest,
    )  # fmt: skip
