"""Report for ``check-log`` with the figures of an engine's log beside their prediction."""

from __future__ import annotations

from typing import Any

from ..api.check_log import CheckedLog, ComparedFigure
from .document import Document, Table, columns
from .heading import model_document

HEADS = ("figure: name", "logged: text", "predicted: text", "low: text 1", "high: text 1", "difference: text", "")


def check_log_document(checked: CheckedLog) -> Document:
    """Build the report of a log. The title is the answer."""
    profile = checked.result.profile
    return model_document(
        checked.result.architecture,
        "check-log",
        lambda: ({"log": checked.log.model}, checked.to_dict()),
        f" in {profile.title} {profile.version}",
        answer=f"{'✓' if checked.ok else '✗'} {checked.summary}",
        tables=(Table("", columns(*HEADS), [_row(figure) for figure in checked.figures]),),
        notes=_notes(checked),
    )


def _row(figure: ComparedFigure) -> tuple[Any, ...]:
    words = figure.name.split("_")
    name, unit = (" ".join(words[:-1]), _UNITS[words[-1]]) if words[-1] in _UNITS else (" ".join(words), "")
    texts = (_text(value, unit) for value in (figure.logged, figure.predicted.best, *figure.predicted[::2]))
    sign = "" if figure.is_within else "✗ outside"
    return name, *texts, f"{figure.difference / figure.logged:+.2%}" if figure.logged else "", sign


_UNITS = {"gib": "GiB", "mib": "MiB", "tokens": "tokens"}


def _text(value: float, unit: str) -> str:
    return f"{value:,.0f} tokens" if unit == "tokens" else f"{value:,.2f} {unit}".strip()


def _notes(checked: CheckedLog) -> tuple[str, ...]:
    found = list(checked.result.notes)
    if checked.unread:
        found.append(f"arguments in the log that are not read: {', '.join(checked.unread)}")
    if checked.result.command and checked.result.command.unmodelled:
        found.append(f"not computed: the effect of {', '.join(checked.result.command.unmodelled)}")
    return tuple(found)
