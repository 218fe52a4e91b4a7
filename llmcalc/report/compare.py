"""Document of ``compare``: the structure and costs of several models next to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..api.compare import QUANTITIES, Comparison, Costs
from ..calc.params import Params
from ..core.structure import side_by_side
from .document import Cell, Column, Document, Table
from .json_envelope import envelope, model_inputs
from .memory import BYTES, SAID
from .model import title, warnings
from .params import CONVENTIONS, UNIT
from .workload import workload_inputs, workload_line


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
        subtitle=(workload_line(costing[0].flops.workload, SAID),),
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
