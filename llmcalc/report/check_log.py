"""Report for ``check-log`` with the figures of an engine's log beside their prediction."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from ..serving.check_log import CheckedLog, ComparedFigure
from .document import Document, Table, columns
from .heading import model_document

MOST = 12  # arguments that are shown
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
    name = _NAMES.get(figure.name, name)
    own = figure.predicted
    texts = (_text(value, unit) for value in (figure.logged, own.best, own.low, own.high))
    share = round(100 * figure.difference / figure.logged, 2) + 0 if figure.logged else None  # no -0
    return name, *texts, "" if share is None else f"{share:+.2f} %", "" if figure.is_within else "✗ outside"


_NAMES = {
    "kv_cache_gib": "KV cache", "kv_cache_tokens": "KV cache size", "kv_mib": "KV cache",
    "request_gib": "KV cache of a request", "longest_tokens": "longest request", "graphs_estimated_gib": "CUDA graphs",
}  # fmt: skip
_UNITS = {"gib": "GiB", "mib": "MiB", "tokens": "tokens"}


def _text(value: float, unit: str) -> str:
    return f"{value:,.0f} tokens" if unit == "tokens" else f"{value:,.2f} {unit}".strip()


def _notes(checked: CheckedLog) -> Iterator[str]:
    yield from checked.result.notes
    if checked.log.arguments:
        unread = {word.strip("-").replace("-", "_") for word in checked.unread}
        stated = (f"{name} {value}" for name, value in checked.log.arguments.items() if name not in unread)
        yield f"read from the log: {', '.join(islice(stated, MOST))}"
    if any(not figure.is_within for figure in checked.figures):
        causes = "another program on the GPU, or a flag, version or format that the log doesn't state"
        yield f"possible causes of a difference: {causes}"
    if checked.uncompared:
        names = ", ".join(name.rpartition("_")[0].replace("_", " ") for name in checked.uncompared)
        yield f"figures in the log that are not predicted: {names}"
    if checked.unread:
        yield f"arguments in the log that are not read: {', '.join(checked.unread)}"
    command = checked.result.deployment.command
    if command and command.unmodelled:
        yield f"not computed: the effect of {', '.join(command.unmodelled)}"
