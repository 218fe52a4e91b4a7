"""Report for ``explain`` with the derivation of a number, the symbols used and the sources."""

from __future__ import annotations

from itertools import chain
from typing import Any

from ..analysis.explain import Explanation, Values, workload_of
from ..analysis.quantity import value_of, values
from ..calc.explain import MEANINGS as WORKLOAD_MEANINGS
from ..core.architecture import layer_glossary
from ..core.errors import spelled
from ..core.ledger import entries
from ..core.workload import Workload
from .document import Cell, Document, Table, columns
from .heading import model_document, run_line, workload_inputs, workload_line
from .json_envelope import envelope
from .numbers import BYTES, about, duration, readable
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


def values_document(found: Values) -> Document:
    """Build the list of all values of a model, with what each counts."""
    architecture, workload = found.architecture, workload_of(found.results.get("flops"))
    rows: list[tuple[Cell, ...]] = []
    data: list[dict[str, Any]] = []
    for value, number in found.values:
        exact, (counts, *_) = number if isinstance(number, int) else None, value.definition.counts.split(";")
        rows.append((value.name, _number_text(number, value.unit), exact, counts))
        data.append({"name": value.name, "value": number, "unit": value.unit, **value.definition._asdict()})
    missing = [f"{name}: {error.message}; {spelled(error.hint)}" for name, error in found.reasons.items()]
    return model_document(
        architecture,
        "explain",
        lambda: (workload_inputs(workload) if workload else {}, {"values": data, "evidence": found.evidence}),
        ": values",
        workload=workload,
        lines=[workload_line(workload)] if workload else [],
        tables=(Table("", columns("value: name", ": name", "exact: digits 1", "what it counts: text"), rows),),
        derivation=lambda: tuple(value_of(name).tree(result) for name, result in found.results.items()),
        notes=[*missing, f"a name shows a derivation: llmcalc explain {architecture.name} params.total"],
    )


def _number_text(number: float, unit: str) -> str:
    """Format a value in its unit."""
    if unit == "s":
        return duration(number)
    return readable(round(number), unit) if unit == BYTES else f"{about(number, unit)} {unit}"


def definitions_document() -> Document:
    """Build the table of all values with their definitions."""
    heads = columns("value: name", "unit: name", "counts: text", "leaves out: text", "publications: text")
    defined = [(value, value.definition) for value in values()]
    rows = [(value.name, value.unit, known.counts, known.omits, known.publications) for value, known in defined]
    data = [{"name": value.name, "unit": value.unit, **known._asdict()} for value, known in defined]
    tables = (Table("", heads, rows),)
    return Document("Quantities", lambda: envelope("help quantities", {}, {"values": data}), tables=tables)


def _workload_line(name: str, workload: Workload) -> str:
    is_run = any(setting.name == "tokens" for setting in value_of(name).quantity.settings)
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
