"""Document of ``diff``: where two architectures differ, and by how many parameters."""

from __future__ import annotations

from typing import Any

from ..api.compare import QUANTITIES
from ..api.diff import Diff
from .document import Column, Document, Fact, Table
from .json_envelope import envelope, model_inputs
from .model import title, warnings
from .params import CONVENTIONS, UNIT


def diff_document(result: Diff) -> Document:
    """One row per difference, then the quantities and components that differ."""
    models = (result.first.architecture, result.second.architecture)
    names = _names(result)
    columns = (Column("part"), Column("what", "name"), *(Column(name) for name in names))
    tables = [Table("", columns, [tuple(entry) for entry in result.differences])] if result.differences else []
    counts = _counts(result)
    if counts:
        heading = (Column(UNIT, "name"), *(Column(name, "count") for name in names), Column("difference", "change"))
        rows: list[tuple[Any, ...]] = [(name, one, other, other - one) for name, (one, other) in counts.items()]
        tables.append(Table("", heading, rows))
    number = len(result.differences)
    said = "the same architecture" if result.same else f"{number} difference{'s' * (number > 1)}"
    return Document(
        " · ".join(map(title, models)),
        lambda: _record(result),
        warnings=tuple(line for model in models for line in warnings(model)),
        facts=(Fact("verdict", said),),
        tables=tuple(tables),
    )


def _names(result: Diff) -> tuple[str, str]:
    one, other = result.first.architecture.name, result.second.architecture.name
    return (one, other) if one != other else (f"{one} #1", f"{other} #2")


def _counts(result: Diff) -> dict[str, tuple[int, int]]:
    """The quantities that differ, then the components."""
    one, other = result.first, result.second
    pairs = {name.replace("_", "-"): (getattr(one, name), getattr(other, name)) for name in QUANTITIES}
    for name in dict.fromkeys((*one.by_component, *other.by_component)):
        pairs[f"· {name}"] = (one.by_component.get(name, 0), other.by_component.get(name, 0))
    if pairs["active"] == pairs["total"]:
        del pairs["active"]
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _record(result: Diff) -> dict[str, Any]:
    models = [model_inputs(each.architecture) for each in (result.first, result.second)]
    return envelope("diff", {"models": models, "conventions": CONVENTIONS}, result.to_dict())
