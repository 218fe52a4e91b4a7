"""Documents of ``compare`` and ``diff``: models next to each other, and where two architectures differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..api.compare import QUANTITIES, Comparison, Costs
from ..api.diff import Diff
from ..calc.params import Params
from ..core.structure import side_by_side
from .document import Cell, Column, Document, Fact, Table
from .heading import SIZES, title, warnings, workload_inputs, workload_line
from .json_envelope import envelope, model_inputs
from .numbers import BYTES
from .params import CONVENTIONS, UNIT


def compare_document(comparison: Comparison) -> Document:
    """The document of a comparison; ratios are relative to the first model."""
    results, costing = comparison.params, comparison.costs
    models = [result.architecture for result in results]
    names = _names(results)
    structure = Table(
        "structure",
        (Column("", "name"), *(Column(name) for name in names)),
        [(label, *cells) for label, cells in side_by_side(models)],
    )
    return Document(
        " · ".join(title(model) for model in models),
        lambda: _record(comparison),
        subtitle=(workload_line(costing[0].flops.workload, SIZES),),
        warnings=tuple(line for model in models for line in warnings(model)),
        tables=(structure, _quantities(results, names), *_costs(costing, names), _components(results, names)),
        main=1,
        notes=tuple(f"{model.name}: {note}" for model in models for note in model.notes),
    )


def _names(results: Sequence[Params]) -> list[str]:
    """Model names, numbered if a name occurs twice (with different overrides)."""
    names = [result.architecture.name for result in results]
    return [f"{name} #{index}" if names.count(name) > 1 else name for index, name in enumerate(names, 1)]


def _quantities(results: Sequence[Params], names: Sequence[str]) -> Table:
    """One row per quantity and model, so that any number of models fits a terminal."""
    rows: list[tuple[Cell, ...]] = []
    for quantity in QUANTITIES:
        values = [getattr(result, quantity) for result in results]
        if not any(values):
            continue
        first = values[0]
        for place, (name, value) in enumerate(zip(names, values, strict=True)):
            against = (value - first, value / first if first else None) if place else (None, None)
            rows.append((quantity.replace("_", "-"), name, value, *against))
    columns = (
        Column(UNIT, "group"), Column("model", "name"), Column("count", "count"),
        Column("difference", "change", optional=1), Column("ratio", "ratio"),
    )  # fmt: skip
    return Table("quantities", columns, rows)


def _costs(costs: Sequence[Costs], names: Sequence[str]) -> list[Table]:
    """One table per unit, with a row per quantity and model."""
    tables = []
    for unit, kind in (("FLOPs", "count"), (BYTES, BYTES)):
        rows: list[tuple[Cell, ...]] = []
        for quantity in (name for name, (_, own) in costs[0].values.items() if own == unit):
            values = [cost.values[quantity][0] for cost in costs]
            for place, (name, value) in enumerate(zip(names, values, strict=True)):
                rows.append((quantity, name, value, value / values[0] if place and values[0] else None))
        columns = (Column(unit, "group"), Column("model", "name"), Column("value", kind), Column("ratio", "ratio"))
        tables.append(Table(costs[0].titles[unit], columns, rows))
    return tables


def _components(results: Sequence[Params], names: Sequence[str]) -> Table:
    components = dict.fromkeys(name for result in results for name in result.by_component)
    rows = [(name, *(result.by_component.get(name) for result in results)) for name in components]
    columns = (Column("component", "name"), *(Column(name, "count") for name in names))
    return Table("by component, in parameters", columns, list(rows), ("total", *(result.total for result in results)))


def _record(comparison: Comparison) -> dict[str, Any]:
    architectures = [result.architecture for result in comparison.params]
    structure = [{"trait": label, "values": cells} for label, cells in side_by_side(architectures)]
    answer = {**comparison.to_dict(), "structure": structure}
    for data, architecture in zip(answer["models"], architectures, strict=True):
        data["notes"] = list(architecture.notes)
    workload = comparison.costs[0].flops.workload
    models = [model_inputs(architecture) for architecture in architectures]
    return envelope(
        "compare", {"models": models, "workload": workload_inputs(workload), "conventions": CONVENTIONS}, answer
    )


def diff_document(result: Diff) -> Document:
    """One row per difference, then the quantities and components that differ."""
    models = (result.first.architecture, result.second.architecture)
    names = _diff_names(result)
    columns = (Column("part"), Column("what", "name"), *(Column(name) for name in names))
    tables = [Table("", columns, [tuple(entry) for entry in result.differences])] if result.differences else []
    counts = _changed_counts(result)
    if counts:
        heading = (Column(UNIT, "name"), *(Column(name, "count") for name in names), Column("difference", "change"))
        rows: list[tuple[Any, ...]] = [(name, one, other, other - one) for name, (one, other) in counts.items()]
        tables.append(Table("", heading, rows))
    number = len(result.differences)
    said = "the same architecture" if result.same else f"{number} difference{'s' * (number > 1)}"
    return Document(
        " · ".join(map(title, models)),
        lambda: _diff_data(result),
        warnings=tuple(line for model in models for line in warnings(model)),
        facts=(Fact("verdict", said),),
        tables=tuple(tables),
    )


def _diff_names(result: Diff) -> tuple[str, str]:
    one, other = result.first.architecture.name, result.second.architecture.name
    return (one, other) if one != other else (f"{one} #1", f"{other} #2")


def _changed_counts(result: Diff) -> dict[str, tuple[int, int]]:
    """The quantities that differ, then the components."""
    one, other = result.first, result.second
    pairs = {name.replace("_", "-"): (getattr(one, name), getattr(other, name)) for name in QUANTITIES}
    for name in dict.fromkeys((*one.by_component, *other.by_component)):
        pairs[f"· {name}"] = (one.by_component.get(name, 0), other.by_component.get(name, 0))
    if pairs["active"] == pairs["total"]:
        del pairs["active"]
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _diff_data(result: Diff) -> dict[str, Any]:
    models = [model_inputs(each.architecture) for each in (result.first, result.second)]
    return envelope("diff", {"models": models, "conventions": CONVENTIONS}, result.to_dict())
