"""Document of ``explain``: a number as the sum of its parts, with formulas, values, symbols and sources."""

from __future__ import annotations

from typing import Any

from ..api.explain import Explanation
from ..calc.explain import MEANINGS as WORKLOAD_MEANINGS
from ..core.axes import GLOSSARY
from ..core.tree import Node
from .document import Column, Document, Table
from .heading import model_document, workload_inputs, workload_line
from .json_envelope import envelope, model_inputs
from .published_figures import cite

ROOT_FORMULA = "n_blocks"
MEANINGS = dict(GLOSSARY.values()) | WORKLOAD_MEANINGS | {ROOT_FORMULA: "number of equal blocks, each stored once"}


def explain_document(explanation: Explanation, depth: int | None = None, select: str | None = None) -> Document:
    """The document of an explanation; ``depth`` and ``select`` are how it was cut."""
    architecture, shown, workload = explanation.architecture, explanation.roots, explanation.workload
    symbols = _symbols(shown)
    tables = [Table("symbols", (Column("symbol", "name"), Column("meaning")), symbols)] if symbols else []
    return model_document(
        architecture,
        lambda: _record(explanation, depth, select),
        f": {explanation.quantity}",
        lines=[workload_line(workload)] if workload else [],
        tables=tuple(tables),
        tree=shown,
        notes=[f"source: {cite(architecture.source)}"] if architecture.source else [],
    )


def _symbols(roots: tuple[Node, ...]) -> list[tuple[Any, ...]]:
    """The symbols of all displayed formulas, in order of appearance."""
    words = dict.fromkeys(
        word for root in roots for _, node in root.walk() for word in node.formula.replace("·", " ").split()
    )
    return [(word, MEANINGS[word]) for word in words if word in MEANINGS]


def _record(explanation: Explanation, depth: int | None, select: str | None) -> dict[str, Any]:
    architecture, roots = explanation.architecture, explanation.roots
    inputs = {**model_inputs(architecture), "quantity": explanation.quantity, "depth": depth, "select": select}
    inputs |= workload_inputs(explanation.workload) if explanation.workload else {}
    symbols = {str(symbol): str(meaning) for symbol, meaning in _symbols(roots)}
    result = {
        "trees": [root.to_dict() for root in roots], "symbols": symbols,
        "source": cite(architecture.source), "notes": list(architecture.notes),
    }  # fmt: skip
    return envelope("explain", inputs, result)
