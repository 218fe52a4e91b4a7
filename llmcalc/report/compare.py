"""The answer to ``compare``: the structure of several models and every quantity, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..calc.params import Params
from .document import Cell, Column, Document, Table
from .envelope import envelope, model_inputs
from .model import title, warnings
from .params import CONVENTIONS, UNIT
from .structure import side_by_side

QUANTITIES = ("total", "active", "embedding", "non_embedding", "buffers")


def compare_document(results: Sequence[Params]) -> Document:
    """The document of a comparison; the first model is what the others are measured by."""
    models = [result.architecture for result in results]
    names = _names(results)
    structure = Table(
        "structure",
        (Column("", "name"), *(Column(name) for name in names)),
        [(label, *cells) for label, cells in side_by_side(models)],
    )
    return Document(
        " · ".join(title(model) for model in models),
        lambda: _record(results),
        warnings=tuple(line for model in models for line in warnings(model)),
        tables=(structure, _quantities(results, names), _components(results, names)),
        main=1,
        notes=tuple(f"{model.name}: {note}" for model in models for note in model.notes),
    )


def _names(results: Sequence[Params]) -> list[str]:
    """The models' names, numbered where one stands twice (with other overrides)."""
    names = [result.architecture.name for result in results]
    return [f"{name} #{index}" if names.count(name) > 1 else name for index, name in enumerate(names, 1)]


def _quantities(results: Sequence[Params], names: Sequence[str]) -> Table:
    """A row per quantity and model: any number of models fits any terminal."""
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


def _components(results: Sequence[Params], names: Sequence[str]) -> Table:
    components = dict.fromkeys(name for result in results for name in result.by_component)
    rows = [(name, *(result.by_component.get(name) for result in results)) for name in components]
    columns = (Column("component", "name"), *(Column(name, "count") for name in names))
    return Table("by component, in parameters", columns, list(rows), ("total", *(result.total for result in results)))


def _record(results: Sequence[Params]) -> dict[str, Any]:
    models = [model_inputs(result.architecture) for result in results]
    first = results[0]
    ratios = []
    for result in results[1:]:
        pairs = {quantity: (getattr(result, quantity), getattr(first, quantity)) for quantity in QUANTITIES}
        ratios.append(
            {
                "model": result.architecture.name,
                "difference": {quantity: own - other for quantity, (own, other) in pairs.items()},
                "ratio": {quantity: own / other if other else None for quantity, (own, other) in pairs.items()},
            }
        )
    structure = [
        {"trait": label, "values": cells} for label, cells in side_by_side([result.architecture for result in results])
    ]
    answer = {"models": [_one(entry) for entry in results], "to_first": ratios, "structure": structure}
    return envelope("compare", {"models": models, "conventions": CONVENTIONS}, answer)


def _one(result: Params) -> dict[str, Any]:
    return {"model": result.architecture.name, **result.to_dict(), "notes": list(result.architecture.notes)}
