"""Document of ``compare``: the structure and costs of several models next to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..api.memory import memory
from ..calc.flops import Flops, flops
from ..calc.memory.inference import InferenceMemory
from ..calc.memory.pipeline import ParallelMemory
from ..calc.params import Params
from ..core.architecture import Architecture
from ..core.record import record
from .document import Cell, Column, Document, Table
from .json_envelope import envelope, model_inputs
from .memory import BYTES, SAID
from .model import title, warnings
from .params import CONVENTIONS, UNIT
from .structure import side_by_side
from .workload import workload_inputs, workload_line

QUANTITIES = ("total", "active", "embedding", "non_embedding", "buffers")


@record
class Costs:
    """FLOPs and memory of a model under a workload that all compared models support."""

    flops: Flops
    memory: InferenceMemory | ParallelMemory

    @property
    def values(self) -> dict[str, tuple[int, str]]:
        """(value, unit) by name."""
        serving = {"weights": "weights", "state": "state", "transient": "activations", "memory": "peak"}
        training = {name: name for name in ("weights", "gradients", "optimizer", "activations", "peak")}
        parts = serving if isinstance(self.memory, InferenceMemory) else training
        return {
            self.flops.workload.mode: (self.flops.total, "FLOPs"),
            "matmul": (self.flops.matmul, "FLOPs"),
            **{name: (getattr(self.memory, part), BYTES) for name, part in parts.items()},
        }

    @property
    def titles(self) -> dict[str, str]:
        """Table titles by unit."""
        step = {"forward": "forward pass", "train": "training step", "decode": "decode step"}
        held = "serving" if isinstance(self.memory, InferenceMemory) else "a training step"
        return {"FLOPs": f"FLOPs of a {step[self.flops.workload.mode]}", BYTES: f"memory of {held}"}


def costs(models: Sequence[Architecture], step: dict[str, Any], held: dict[str, Any]) -> list[Costs]:
    """The costs of each model, given the arguments of ``llmcalc.flops`` and ``llmcalc.memory``."""
    return [Costs(flops(model, **step), memory(model, **held)) for model in models]


def compare_document(results: Sequence[Params], costing: Sequence[Costs]) -> Document:
    """The document of a comparison; ratios are relative to the first model."""
    models = [result.architecture for result in results]
    names = _names(results)
    structure = Table(
        "structure",
        (Column("", "name"), *(Column(name) for name in names)),
        [(label, *cells) for label, cells in side_by_side(models)],
    )
    return Document(
        " · ".join(title(model) for model in models),
        lambda: _record(results, costing),
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


def _record(results: Sequence[Params], costs: Sequence[Costs]) -> dict[str, Any]:
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
    shown = [{name: value for name, (value, _) in cost.values.items()} for cost in costs]
    answer = {"models": [_one(entry) for entry in results], "to_first": ratios, "structure": structure}
    inputs = {"models": models, "workload": workload_inputs(costs[0].flops.workload), "conventions": CONVENTIONS}
    return envelope("compare", inputs, {**answer, "costs": shown})


def _one(result: Params) -> dict[str, Any]:
    return {"model": result.architecture.name, **result.to_dict(), "notes": list(result.architecture.notes)}
