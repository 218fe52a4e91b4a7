"""Two to four models side by side, under the same workload and on the same GPUs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...core.errors import LlmcalcError
from ...core.record import changed
from ...report.numbers import readable
from .case import Case, case_of, said
from .facts import cache_fact
from .verdict import sentence
from .view import view_of

SMALLER, LARGER = ("state", "memory", "prefill", "cost", "time"), ("latency", "throughput", "capacity")  # is better
LOADED = ("prefill", "latency", "throughput", "cost")  # numbers that depend on how many users the engine runs


def comparison(case: Case, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with one column per model and one row per number."""
    found = [_column(case, name) for name in (case.state.model, *case.state.compare)]
    labels = {key: cell["label"] for column in found for key, cell in column["cells"].items()}
    is_equal = len({one["waiting"] for one in found}) == 1
    cells = {key: [one["cells"].get(key) for one in found] for key in labels}
    best = {key: _best(key, own) for key, own in cells.items() if is_equal or key not in LOADED}
    rows = [{"label": label, "cells": cells[key], "best": best.get(key)} for key, label in labels.items()]
    return {"models": [{name: one[name] for name in ("model", "title", "error")} for one in found], "rows": rows}


def _best(name: str, cells: Sequence[dict[str, Any] | None]) -> int | None:
    """Return the place of the best value, or None if there is none or all are equally good."""
    known = ((at, cell.get("value", cell.get("low"))) for at, cell in enumerate(cells) if cell)
    values = {at: value for at, value in known if value is not None}
    if name not in SMALLER + LARGER or len(set(values.values())) < 2:
        return None
    return (min if name in SMALLER else max)(values, key=lambda at: values[at])


def _column(case: Case, model: str) -> dict[str, Any]:
    try:
        own = case_of(changed(case.state, model=model, compare=()))
        cells = {cell["why"]: cell for cell in _cells(own)}
    except LlmcalcError as error:
        return {"model": model, "title": model, "error": said(error), "cells": {}, "waiting": 0}
    return {"model": model, "title": own.title, "error": "", "cells": cells, "waiting": own.waiting}


def _cells(case: Case) -> Iterator[dict[str, Any]]:
    lead, text = sentence(case)
    yield {"why": "fits", "label": "Verdict", "text": lead, "note": "", "title": text}
    counts = {"params": ("Parameters", case.params.total), "active": ("Active per token", case.params.active)}
    for name, (label, count) in counts.items():
        yield {"why": name, "label": label, "text": readable(count, ""), "note": "", "value": count}
    yield from () if case.only_reads or case.state.task else (cache_fact(case),)
    yield from (one for one in view_of(case).facts(case) if one["why"] not in ("params", "state"))
