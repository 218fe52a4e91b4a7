"""Report for ``explain`` with the derivation of a number, the symbols used and the sources."""

from __future__ import annotations

from itertools import chain
from typing import Any

from ..analysis.explain import Explanation
from ..analysis.quantity import quantity
from ..calc.explain import MEANINGS as WORKLOAD_MEANINGS
from ..core.architecture import layer_glossary
from ..core.ledger import entries
from ..core.workload import Workload
from .document import Document, Table, columns
from .heading import model_document, run_line, workload_inputs, workload_line
from .published_figures import cite

ROOT_FORMULA = "n_blocks"
MEANINGS = WORKLOAD_MEANINGS | {ROOT_FORMULA: "number of equal blocks, each stored once"}


def explain_document(explanation: Explanation, depth: int | None = None, select: str | None = None) -> Document:
    """Build the report for an explanation already filtered by ``depth`` and ``select``."""
    architecture, workload = explanation.architecture, explanation.workload
    return model_document(
        architecture,
        "explain",
        lambda: _json(explanation, depth, select),
        f": {explanation.quantity}",
        workload=workload,
        lines=[_workload_line(explanation.quantity, workload)] if workload else [],
        tables=(Table("symbols", columns("symbol: name", "meaning"), _symbols(explanation)),),
        tree=explanation.roots,
        notes=[f"source: {cite(architecture.source)}"] if architecture.source else [],
    )


def _workload_line(name: str, workload: Workload) -> str:
    is_run = any(setting.name == "tokens" for setting in quantity(name).settings)
    return run_line(workload) if is_run else workload_line(workload)


def _symbols(explanation: Explanation) -> list[tuple[str, str]]:
    """Return the symbols of all displayed formulas with their meanings, in order of appearance."""
    nodes = (node for root in explanation.roots for _, node in root.walk())
    words = dict.fromkeys(word for node in nodes for word in node.formula.replace("·", " ").split())
    layers = {entry.layer for entry in entries(explanation.architecture)}
    meanings = dict(chain.from_iterable(layer_glossary(layer).values() for layer in layers)) | MEANINGS
    return [(word, meanings[word]) for word in words if word in meanings]


def _json(explanation: Explanation, depth: int | None, select: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    architecture = explanation.architecture
    inputs = {"quantity": explanation.quantity, "depth": depth, "select": select}
    inputs |= workload_inputs(explanation.workload) if explanation.workload else {}
    result = {**explanation.to_dict(), "symbols": dict(_symbols(explanation))}
    return inputs, {**result, "source": cite(architecture.source), "notes": list(architecture.notes)}
