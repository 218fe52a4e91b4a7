"""Report for ``params`` with totals, a breakdown by component, layer or tensor, and published figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from math import prod

from ..api.params import Params
from ..calc.params import logical_name, logical_shape
from ..core.ledger import Row
from ..core.type_names import Any
from .document import Document, Fact, Table, columns, shares_table
from .heading import model_document
from .published_figures import comparisons, published_table

UNIT = "parameters"
BREAKDOWNS = ("component", "layer", "tensor")
CONVENTIONS = {
    "total": "shared tensors counted once, including frozen tables, excluding buffers",
    "active": "total minus the routed experts that a token does not use, including embeddings",
    "embedding": "input token embedding only",
    "non_embedding": "total minus token, position and other look-up tables",
}


def params_document(result: Params, by: str = "component", layout: str | None = None) -> Document:
    """Build the parameter report. If ``layout`` is given, the tensors are listed as stored in that layout."""
    architecture = result.architecture
    breakdown = {"component": _by_component, "layer": _by_layer, "tensor": _by_tensor}[by]
    extras = [(extra.name, count, extra.reason) for extra, count in result.extras]
    return model_document(
        architecture,
        "params",
        lambda: _json(result, by, layout),
        is_full=True,
        facts=tuple(_facts(result)),
        tables=(
            _stored(result, layout) if layout else breakdown(result),
            published_table(comparisons(result, architecture.expect)),
            Table("", columns("not counted: name", "parameters: count", "why"), extras),
        ),
        listing=(lambda: _every_tensor(result, layout)) if layout else None,
        derivation=lambda: (result.tree,),
    )


def _facts(result: Params) -> Iterator[Fact]:
    yield Fact("total", result.total, UNIT)
    if result.active != result.total:
        yield Fact("active", result.active, UNIT, "used per token")
    yield Fact("embedding", result.embedding, UNIT)
    yield Fact("non-embedding", result.non_embedding, UNIT)
    if result.buffers:
        yield Fact("buffers", result.buffers, "elements", "stored tensors that are not parameters")


def _by_component(result: Params) -> Table:
    return shares_table("by component", "component", result.by_component, "parameters: count")


def _by_layer(result: Params) -> Table:
    """Build a table with one row per run of equal layers, and separate rows for the input and output layers."""
    counted = [*_runs(result), ("total", "", None, result.total)]
    *rows, total = [(*row, row[-1] / result.total if result.total else 0.0) for row in counted]
    heads = columns("layers: name", "block: name", "parameters each: count 1", "parameters: count", "share: share")
    return Table("by layer", heads, rows, total)


def _runs(result: Params) -> Iterator[tuple[str, str, int | None, int]]:
    """Yield the name, the block, the parameters of one layer and those of all layers of each run of equal layers."""
    layers = iter(result.by_layer)
    for stack in result.architecture.stacks:
        prefix, outside = f"{stack.name} " if len(result.architecture.stacks) > 1 else "", Counter[str]()
        for row in result.rows:
            if row.entry.stack is stack and row.entry.run is None and not row.tensor.buffer:
                outside[row.entry.section] += row.size * row.copies
        if outside["inputs"]:
            yield f"{prefix}inputs", "", None, outside["inputs"]
        named = [(run.block.name, next(layers)) for run in stack.runs for _ in range(run.count)]
        for (name, size), same in groupby(range(len(named)), named.__getitem__):
            first, *others = same
            place = f"layers {first}-{others[-1]}" if others else f"layer {first}"
            yield f"{prefix}{place}", name, size, (1 + len(others)) * size
        if outside["outputs"]:
            yield f"{prefix}outputs", "", None, outside["outputs"]


def _by_tensor(result: Params) -> Table:
    """Build a table of declared tensors, with a single row for corresponding tensors in equal blocks."""
    rows = [(name, _text(shape), row.copies, row.size, row.size * row.copies) for name, shape, row in _grouped(result)]
    heads = columns("tensor", "shape: name", "copies: number", "parameters each: count 1", "parameters: count")
    return Table("by tensor", heads, rows, ("total", "", None, None, result.total))


def _grouped(result: Params) -> Iterator[tuple[str, tuple[int, ...], Row]]:
    """Yield (name, shape, row) for each tensor. Names of tensors in equal blocks contain a range of stored blocks, of
    which a shared run has one.
    """
    for row in result.rows:
        if row.copies and not row.tensor.buffer:
            name = logical_name(row, row.entry.run)
            if row.entry.run is not None:
                first = sum(1 if run.shared else run.count for run in row.entry.stack.runs[: row.entry.run])
                place = str(first) if row.copies == 1 else f"{first}-{first + row.copies - 1}"
                name = name.replace(f".blocks.{row.entry.run}.", f".blocks.{place}.", 1)
            yield name, logical_shape(row), row


def _stored(result: Params, layout: str) -> Table:
    """Build a table of the tensors as stored in a checkpoint layout, with one row for experts and equal blocks."""
    from ..checkpoint.stored_patterns import stored_patterns

    rows = [
        (name, _text(shape), copies, copies * prod(shape)) for name, shape, copies in stored_patterns(result, layout)
    ]
    heads = columns("tensor", "shape: name", "tensors: number", "elements: count")
    total = ("total", "", sum(row[2] for row in rows), sum(row[3] for row in rows))
    return Table(f"tensors as stored by {layout}", heads, rows, total)


def _every_tensor(result: Params, layout: str) -> Table:
    """Build a table of the stored tensors one by one."""
    from ..checkpoint.stored_tensors import stored_tensors

    tensors = stored_tensors(result, layout)
    cells = {shape: (_text(shape), prod(shape)) for shape in {shape for _, shape in tensors}}
    rows = [(name, *cells[shape]) for name, shape in tensors]
    return Table("", columns("tensor", "shape: name", "elements: count"), rows)


def _text(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _json(result: Params, by: str, layout: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    architecture = result.architecture
    data = {**result.to_dict(), "notes": list(architecture.notes)}
    data["published"] = [comparison.to_dict() for comparison in comparisons(result, architecture.expect)]
    if layout:
        from ..checkpoint.stored_tensors import stored_tensors

        data["tensors"] = [{"name": name, "shape": list(shape)} for name, shape in stored_tensors(result, layout)]
    elif by == "tensor":
        data["tensors"] = [
            {"name": name, "shape": list(shape), "copies": row.copies} for name, shape, row in _grouped(result)
        ]
    return {"by": by, "layout": layout, "conventions": CONVENTIONS}, data
