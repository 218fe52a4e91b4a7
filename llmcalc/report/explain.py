"""Report for ``explain`` with the derivation of a number, the symbols used and the sources."""

from __future__ import annotations

from typing import Any

from ..api.explain import Explanation
from ..calc.explain import MEANINGS as WORKLOAD_MEANINGS
from ..core.axes import GLOSSARY
from ..core.tree import Node
from .document import Document, Table, columns
from .heading import model_document, workload_inputs, workload_line
from .published_figures import cite

ROOT_FORMULA = "n_blocks"
MEANINGS = dict(GLOSSARY.values()) | WORKLOAD_MEANINGS | {ROOT_FORMULA: "number of equal blocks, each stored once"}


def explain_document(explanation: Explanation, depth: int | None = None, select: str | None = None) -> Document:
    """Build the report for an explanation already limited by ``depth`` and ``select``."""
    architecture, workload = explanation.architecture, explanation.workload
    return model_document(
        architecture,
        "explain",
        lambda: _json(explanation, depth, select),
        f": {explanation.quantity}",
        lines=[workload_line(workload)] if workload else [],
        tables=(Table("symbols", columns("symbol: name", "meaning"), _symbols(explanation.roots)),),
        tree=explanation.roots,
        notes=[f"source: {cite(architecture.source)}"] if architecture.source else [],
    )


def _symbols(roots: tuple[Node, ...]) -> list[tuple[str, str]]:
    """Return the symbols of all displayed formulas with their meanings, in order of appearance."""
    words = dict.fromkeys(
        word for root in roots for _, node in root.walk() for word in node.formula.replace("·", " ").split()
    )
    return [(word, MEANINGS[word]) for word in words if word in MEANINGS]


def _json(explanation: Explanation, depth: int | None, select: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    architecture = explanation.architecture
    inputs = {"quantity": explanation.quantity, "depth": depth, "select": select}
    inputs |= workload_inputs(explanation.workload) if explanation.workload else {}
    result = {**explanation.to_dict(), "symbols": dict(_symbols(explanation.roots))}
    return inputs, {**result, "source": cite(architecture.source), "notes": list(architecture.notes)}
