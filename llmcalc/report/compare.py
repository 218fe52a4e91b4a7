"""Reports for ``compare`` (models side by side) and ``diff`` (differences between two architectures)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..analysis.compare import QUANTITIES, Comparison, Costs
from ..analysis.diff import Diff
from ..calc.params import Params
from ..core.architecture import Architecture
from ..core.description.structure import side_by_side
from ..core.errors import spelled
from .document import Cell, Column, Document, Table, columns
from .heading import (
    SIZES,
    excess_of,
    model_inputs,
    numbered,
    shown_notes,
    title,
    warnings,
    workload_inputs,
    workload_line,
)
from .json_envelope import envelope
from .numbers import BYTES, duration, readable
from .params import CONVENTIONS, UNIT

SECONDS = "s"


def compare_document(comparison: Comparison) -> Document:
    """Build the comparison report, with ratios relative to the first model. The title is the answer."""
    results, costs = comparison.params, comparison.costs
    models = [result.architecture for result in results]
    names = numbered([model.name for model in models])
    traits = [(label, *cells) for label, cells in side_by_side(models)]
    structure = Table("structure", (Column("", "name"), *map(Column, names)), traits)
    workload = costs[0].flops.workload
    longer = " and ".join(name for name, model in zip(names, models, strict=True) if excess_of(model, workload))
    totals = (f"{name} {readable(result.total, '')}" for name, result in zip(names, results, strict=True))
    return Document(
        f"{' · '.join(totals)} parameters{longer and f', with sequences too long for {longer}'}",
        lambda: _compare_json(comparison),
        subtitle=(" · ".join(title(model) for model in models), workload_line(workload, SIZES)),
        warnings=(*(line for model in models for line in warnings(model)), *_same(models)),
        tables=(structure, _quantities(results, names), *_costs(costs, names), _components(results, names)),
        main=1 if traits else 0,
        notes=tuple(f"{model.name}: {note}" for model in models for note in shown_notes(model)),
        details=tuple(f"{model.name}: {note}" for model in models for note in model.remarks),
    )


def _same(models: Sequence[Architecture]) -> Iterator[str]:
    """Yield a warning if all models are the same."""
    if all(model.stacks == models[0].stacks for model in models):
        change = "{overrides} changes all of them, and llmcalc import writes a variant to a file"
        yield spelled(f"the models have the same architecture; {change}")


def _quantities(results: Sequence[Params], names: Sequence[str]) -> Table:
    """Build a table with one row per quantity and model, so that any number of models fits in a terminal."""
    rows: list[tuple[Cell, ...]] = []
    for quantity in QUANTITIES:
        first, *others = values = [getattr(result, quantity) for result in results]
        if any(values):
            title = f"params.{quantity}"
            rows.append((title, names[0], first, None, None))
            pairs = zip(names[1:], others, strict=True)
            rows += [(title, name, own, own - first, own / first if first else None) for name, own in pairs]
    heads = columns("parameters: group", "model: name", "count: count", "difference: change 1", "ratio: ratio")
    return Table("quantities", heads, rows)


def _costs(costs: Sequence[Costs], names: Sequence[str]) -> list[Table]:
    """Build one table per group of costs, with one row per cost and model."""
    tables = []
    for place, first in enumerate(costs[0].tables):
        rows: list[tuple[Cell, ...]] = []
        for quantity in first.values:
            values = [cost.tables[place].values[quantity] for cost in costs]
            for number, (name, value) in enumerate(zip(names, values, strict=True)):
                shown = duration(value) if first.unit == SECONDS else value
                rows.append((quantity, name, shown, value / values[0] if number and values[0] else None))
        kind = {BYTES: BYTES, SECONDS: "text"}.get(first.unit, "count")
        unit = "time" if first.unit == SECONDS else first.unit
        heads = columns(f"{unit}: group", "model: name", f"value: {kind}", "ratio: ratio")
        tables.append(Table(first.title, heads, rows))
    return tables


def _components(results: Sequence[Params], names: Sequence[str]) -> Table:
    components = dict.fromkeys(name for result in results for name in result.by_component)
    rows = [(name, *(result.by_component.get(name) for result in results)) for name in components]
    heads = (Column("component", "name"), *(Column(name, "count") for name in names))
    return Table("parameters by component", heads, rows, ("total", *(result.total for result in results)))


def _compare_json(comparison: Comparison) -> dict[str, Any]:
    architectures = [result.architecture for result in comparison.params]
    structure = [{"trait": label, "values": cells} for label, cells in side_by_side(architectures)]
    answer = {**comparison.to_dict(), "structure": structure}
    for data, architecture in zip(answer["models"], architectures, strict=True):
        data["notes"] = list(architecture.notes)
    workload = comparison.costs[0].flops.workload
    models = [model_inputs(model, excess_of(model, workload)) for model in architectures]
    inputs = {"models": models, "workload": workload_inputs(workload), "conventions": CONVENTIONS}
    return envelope("compare", inputs, answer)


def diff_document(result: Diff) -> Document:
    """Build the diff report with all differences, followed by the parameter counts that differ."""
    models = (result.first.architecture, result.second.architecture)
    names = numbered([model.name for model in models])
    heads = (Column("part"), Column("what", "name"), *map(Column, names))
    numbers = (Column(UNIT, "name"), *(Column(name, "count") for name in names), Column("difference", "change"))
    counts = [(name, one, other, other - one) for name, (one, other) in _changed_counts(result).items()]
    return Document(
        f"{'✓' if result.same else '✗'} {result.verdict}",
        lambda: envelope(
            "diff", {"models": list(map(model_inputs, models)), "conventions": CONVENTIONS}, result.to_dict()
        ),
        subtitle=(" · ".join(map(title, models)),),
        warnings=tuple(line for model in models for line in warnings(model)),
        tables=(Table("", heads, result.differences), Table("", numbers, counts)),
    )


def _changed_counts(result: Diff) -> dict[str, tuple[int, int]]:
    """Return the parameter counts that differ, by quantity and by component."""
    one, other = result.first, result.second
    pairs = {name.replace("_", "-"): (getattr(one, name), getattr(other, name)) for name in QUANTITIES}
    for name in one.by_component | other.by_component:
        pairs[f"· {name}"] = (one.by_component.get(name, 0), other.by_component.get(name, 0))
    if pairs["active"] == pairs["total"]:
        del pairs["active"]
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
