"""Tensors as a checkpoint stores them: renamed, fused, split and transposed, through a layout."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from ..core.architecture import Architecture
from ..core.errors import UnknownNameError
from ..core.layer import Layer
from ..core.ledger import Entry, Row
from .layouts import Rule, find_layout, published_name

if TYPE_CHECKING:
    from ..calc.params import Params

Shape = tuple[int, ...]
LAYOUTS = ("transformers", "checkpoint")
_DIGITS = "0123456789"


class Declared(NamedTuple):
    """A stored tensor that is declared: the rows that lie in it, the first of which says what it is. It may stand for
    ``copies`` of its kind, the experts of a layer.
    """

    name: str
    shape: Shape
    rows: tuple[Row, ...]
    number: int | None
    rule: Rule | None
    copies: int = 1

    @property
    def buffer(self) -> bool:
        """Whether it is stored, but no parameter."""
        return self.rows[0].tensor.buffer


def stored_tensors(result: Params, layout: str | None) -> list[tuple[str, Shape]]:
    """(name, shape) of every parameter once. ``layout`` None: logical names; ``transformers``: as that library keeps
    them in memory, the experts of a layer in one tensor; ``checkpoint``: as they were published, the experts one by
    one. A tensor that no rule places keeps its logical name.

    Raises:
        UnknownNameError: a layout of another name, or none known for this architecture.
    """
    if layout is None:
        return [(logical_name(row, number), logical_shape(row)) for row, number in placed(result)]
    if layout not in LAYOUTS:
        raise UnknownNameError("layout", layout, LAYOUTS, hint=f"known: {', '.join(LAYOUTS)}")
    return [(one.name, one.shape) for one in declared(result, layout_name(result.architecture, layout))]


def layout_name(architecture: Architecture, layout: str) -> str:
    """The name of the rules that give a layout of an architecture."""
    return published_name(architecture) if layout == "checkpoint" else architecture.layout


def declared(result: Params, name: str, buffers: bool = False, each: bool = True) -> Iterator[Declared]:
    """Every stored tensor once, by the rules called ``name``; with ``each`` False the experts of a layer, where they
    are stored one by one, as copies of the first.

    Raises:
        UnknownNameError: no such rules.
    """
    for rule, group, number in _grouped(result, name, buffers):
        stored = _store(rule, group, number)
        if each or rule is None or "{x}" not in rule.stored:
            yield from (Declared(name, shape, tuple(group), number, rule) for name, shape in stored)
        else:
            first, shape = next(stored)
            yield Declared(first, shape, tuple(group), number, rule, _stored_shape(group[0], rule)[0])


def placed(result: Params, buffers: bool = False) -> Iterator[tuple[Row, int | None]]:
    """Every stored parameter with the number of its block (None outside the blocks), in the order of the model."""
    for stack in result.architecture.stacks:
        own = [row for row in result.rows if row.entry.stack is stack and row.copies]
        own = own if buffers else [row for row in own if not row.tensor.buffer]
        yield from ((row, None) for row in own if row.entry.run is None and row.entry.section == "inputs")
        first = 0
        for index in range(len(stack.runs)):
            rows = [row for row in own if row.entry.run == index]
            stored = max((row.copies for row in rows), default=0)  # none of blocks that are stored elsewhere
            for number in range(first, first + stored):
                yield from ((row, number) for row in rows if number == first or row.copies > 1)
            first += stored
        yield from ((row, None) for row in own if row.entry.run is None and row.entry.section == "outputs")


def logical_name(row: Row, number: int | None) -> str:
    """Stack, block, sub-layer, layer and tensor; a layer's name that equals its sub-layer's is said once."""
    entry = row.entry
    block = [] if number is None else ["blocks", str(number), entry.sublayer]
    name = [] if entry.name == entry.sublayer else [entry.name]
    return ".".join((entry.stack.name, *block, *name, *row.part, row.tensor.name))


def logical_shape(row: Row) -> Shape:
    """The lengths of a tensor's axes."""
    return tuple(int(row.declaration.axes[axis]) for axis in row.tensor.axes)


def layout_keys(row: Row) -> list[str]:
    """How a layout may address a tensor: by kind and tensor (``attention.wq``, ``moe.shared.wu``), a norm of a block by
    the kind or the number of its sub-layer (``mlp.pre_norm.w``, ``sublayer1.pre_norm.w``), a layer outside the blocks
    by its name (``token.w``), without the number that may end it, or by its section and kind (``outputs/stored.w``).
    Where kinds recur within a block, the sub-layer's
    name without its number goes first (``adapter/mlp.wu``, ``adapter/pre_norm.w``).
    """
    entry = row.entry
    sublayer = entry.sublayer.rstrip(_DIGITS)
    if entry.run is None:
        places = [entry.name, entry.name.rstrip(_DIGITS), f"{entry.section}/{entry.layer.kind()}"]
    elif entry.layer.kind() == "norm":
        mixer = entry.stack.runs[entry.run].block.sublayers[entry.number].branches[0].layer
        names = (f"{sublayer}/{entry.name}", f"{_place(mixer)}.{entry.name}", f"sublayer{entry.number}.{entry.name}")
        places = list(names)
    else:
        places = [f"{sublayer}/{_place(entry.layer)}", _place(entry.layer)]
    return [".".join((place, *row.part, row.tensor.name)) for place in places]


def _place(layer: Layer) -> str:
    return "cross_attention" if getattr(layer, "cross", False) else layer.kind()


def _conditions(row: Row, alone: bool) -> frozenset[str]:
    """What holds of a tensor's stack and layer, for the conditions of a layout's rules."""
    layer = row.entry.layer
    tied = "tied" if getattr(layer, "share", None) else "untied"
    gated = "gated" if getattr(layer, "gated", False) else "plain"
    heads = "single" if getattr(layer, "n_kv_heads", 0) == 1 else "many"
    biases = "spare" if getattr(layer, "unused_biases", 0) else "lone"
    stack, place = row.entry.stack, "alone" if alone else "beside"
    return frozenset((stack.role, stack.name, tied, gated, heads, biases, place))


def _grouped(result: Params, name: str, buffers: bool) -> Iterator[tuple[Rule | None, list[Row], int | None]]:
    """Tensors that are stored as one, together, with the rule that places them."""
    layout = find_layout(name)
    groups: dict[tuple[object, ...], tuple[Rule | None, list[Row], int | None]] = {}
    for row, number in placed(result, buffers):
        rule = layout.rule(layout_keys(row), _conditions(row, len(result.architecture.stacks) == 1))
        stored = _name(rule, row, number) if rule else logical_name(row, number)
        identity = (row.entry.stack.name, number, stored)
        groups.setdefault(identity, (rule, [], number))[1].append(row)
    yield from groups.values()


def _store(rule: Rule | None, group: list[Row], number: int | None) -> Iterator[tuple[str, Shape]]:
    first = group[0]
    if rule is None:
        yield logical_name(first, number), logical_shape(first)
        return
    name = _name(rule, first, number)
    shape = _joined([_stored_shape(row, rule) for row in group], first, rule)
    shape = (*(1,) * rule.row, *shape[rule.flat :], *(1,) * rule.column)
    shape = (shape[0] * shape[1], *shape[2:]) if rule.folded else shape
    if "{x}" not in name and "{a}" not in name:
        yield name, shape
        return
    first_adapter, step = _turn(first.entry)
    for index in range(shape[0]):
        adapter = str(first_adapter + index * step)
        yield name.replace("{x}", str(index)).replace("{a}", adapter), shape[1:]


def _turn(entry: Entry) -> tuple[int, int]:
    """Which of the shared sub-layers that take turns this one is, by the number that ends its name, and of how many."""
    stem = entry.sublayer.rstrip(_DIGITS)
    blocks = (run.block for run in entry.stack.runs)
    names = {sublayer.name for block in blocks for sublayer in block.sublayers if sublayer.name.rstrip(_DIGITS) == stem}
    return int(entry.sublayer[len(stem) :] or 0), len(names)


def _name(rule: Rule, row: Row, number: int | None) -> str:
    """The stored name, its numbers and names filled in."""
    entry = row.entry
    values = {"{i}": str(number), "{s}": str(entry.number), "{side}": entry.stack.name, "{n}": entry.name}
    values["{block}"] = entry.section
    numbered = entry.name if entry.run is None else entry.sublayer
    values["{t}"] = numbered[len(numbered.rstrip(_DIGITS)) :] or "0"
    name = rule.stored
    for mark, value in values.items():
        name = name.replace(mark, value)
    return name


def _stored_shape(row: Row, rule: Rule) -> Shape:
    """Each group of axes as one dimension; of a matrix [out, in] (or [in, out] if transposed), of a convolution
    [channels, 1, taps].
    """
    axes = row.declaration.axes
    sizes = [prod(int(axes[axis]) for axis in group) for group in row.tensor.groups]
    if row.tensor.linear:
        *lead, inputs, outputs = sizes
        return (*lead, inputs, outputs) if rule.transposed else (*lead, outputs, inputs)
    if row.tensor.groups[-1] == ("K",):
        return (sizes[0], 1, sizes[1])
    return tuple(sizes)


def _joined(shapes: list[Shape], row: Row, rule: Rule) -> Shape:
    """Shapes side by side along what a matrix gives, or along the first dimension behind the experts'."""
    shape = list(shapes[0])
    if row.tensor.linear:
        along = len(shape) - 1 if rule.transposed else len(shape) - 2
    else:
        along = 1 if row.tensor.active and len(shape) > 1 else 0
    shape[along] = sum(other[along] for other in shapes)
    return tuple(shape)


def aliases(result: Params, name: str) -> dict[str, str]:
    """Other names that a stored tensor may go by: those of tensors tied to it, and those of further rules."""
    layout, alone = find_layout(name), len(result.architecture.stacks) == 1
    primary: dict[object, str] = {}
    found: dict[str, str] = {}
    for row, number in _everywhere(result):
        holds = _conditions(row, alone)
        keys = layout_keys(row)
        rule = layout.rule(keys, holds)
        others = [other for key in keys for other in layout.rules.get(key, ()) if "{x}" not in other.stored]
        stored = _name(rule, row, number) if rule else logical_name(row, number)
        identity = row.tensor.share or (row.entry.stack.name, number, stored)
        own = primary.setdefault(identity, stored)
        for other in {stored, *(_name(other, row, number) for other in others)}:
            if other != own:
                found.setdefault(other, own)
    return {alias: of for alias, of in found.items() if alias not in primary.values()}


def _everywhere(result: Params) -> Iterator[tuple[Row, int | None]]:
    """Every parameter outside the blocks, and the tied ones within them, at each of their places."""
    for stack in result.architecture.stacks:
        first, own = 0, [row for row in result.rows if row.entry.stack is stack]
        yield from ((row, None) for row in own if row.entry.run is None)
        for index, run in enumerate(stack.runs):
            tied = [row for row in own if row.entry.run == index and row.tensor.share]
            yield from ((row, number) for number in range(first, first + run.count) for row in tied)
            first += 1 if run.shared else run.count
