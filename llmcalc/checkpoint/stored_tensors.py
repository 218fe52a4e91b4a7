"""Names and shapes of checkpoint tensors after a layout has renamed, fused, split and transposed declared tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod

from ..calc.params import Params, logical_name, logical_shape, params
from ..core.architecture import Architecture
from ..core.errors import SizeError, UnknownNameError
from ..core.ledger import Entry, Row
from ..core.record import NamedTuple
from ..core.type_names import TypeVar
from .layouts import DIGITS, Rule, alternation, conditions_of, find_layout, published_name

Shape = tuple[int, ...]
Number = TypeVar("Number", int | None, range | None)
Stored = TypeVar("Stored")
MOST_TENSORS = 500_000
LAYOUTS = ("transformers", "checkpoint")
NUMBER = "{i}"  # placeholder of the number of a block


class Declared(NamedTuple):
    """A stored tensor and the rows of its logical tensors. The tensor represents ``copies`` experts."""

    name: str
    shape: Shape
    rows: tuple[Row, ...]
    number: int | None
    rule: Rule | None
    copies: int = 1

    @property
    def buffer(self) -> bool:
        """Whether the tensor is a stored buffer rather than a parameter."""
        return self.rows[0].tensor.buffer


def stored_tensors(result: Params, layout: str) -> list[tuple[str, Shape]]:
    """Return the names and shapes of all parameters as stored in ``layout``.

    Raises:
        UnknownNameError: if the architecture does not have this layout.
    """
    groups = grouped(result.architecture, layout_name(result.architecture, layout), result.placed_rows())
    return list(bounded(pair for group, _ in groups for pair in group.tensors()))


def largest_stored_tensor(architecture: Architecture) -> int:
    """Return the number of elements of the largest tensor in the layout of transformers."""
    return max(prod(shape) for _, shape in stored_tensors(params(architecture), "transformers"))


def layout_name(architecture: Architecture, layout: str) -> str:
    """Return the name that ``find_layout`` knows for one of ``LAYOUTS``."""
    if layout not in LAYOUTS:
        raise UnknownNameError("layout", layout, LAYOUTS, hint=f"use one of {', '.join(LAYOUTS)}")
    return published_name(architecture) if layout == "checkpoint" else architecture.layout


def declared(result: Params, name: str, buffers: bool = False, each: bool = True) -> Iterator[Declared]:
    """Yield all stored tensors of the layout ``name``. Unless ``each`` is set, one expert represents all experts."""
    return stored_rows(result.architecture, name, result.placed_rows(buffers), each)


def stored_rows(
    architecture: Architecture, name: str, placed_rows: Iterable[tuple[Row, Number]], each: bool = True
) -> Iterator[Declared]:
    """Yield the stored tensors of rows in the layout ``name``, as ``declared`` does.

    The names of tensors in a range of blocks have NUMBER for the number of the block.
    """
    return bounded(_stored_rows(architecture, name, placed_rows, each))


def bounded(tensors: Iterator[Stored]) -> Iterator[Stored]:
    """Yield stored tensors up to a limit, because those of experts are listed one by one."""
    for number, tensor in enumerate(tensors, 1):
        check_number(number)
        yield tensor


def check_number(number: int) -> None:
    """Check that a number of stored tensors is within the limit."""
    if number > MOST_TENSORS:
        raise SizeError(f"more than {MOST_TENSORS:,} tensors are stored", where="checkpoint")


def _stored_rows(
    architecture: Architecture, name: str, placed_rows: Iterable[tuple[Row, Number]], each: bool
) -> Iterator[Declared]:
    for group, number in grouped(architecture, name, placed_rows):
        rule, rows = group.rule, tuple(group.rows)
        is_represented = not each and rule is not None and "{x}" in rule.stored
        for stored, shape in group.tensors():
            first = number[0] if isinstance(number, range) else number
            yield Declared(stored, shape, rows, first, rule, group.shape[0] if is_represented else 1)
            if is_represented:
                break


def rows_in_blocks(result: Params, buffers: bool = False) -> Iterator[tuple[Row, range | None]]:
    """Yield every stored row with the numbers of the blocks in which it is stored, or None outside the blocks."""
    for rows, numbers in result.rows_by_place(buffers):
        yield from ((row, numbers[:1] if numbers and row.copies == 1 else numbers) for row in rows)


def name_in_layout(row: Row, number: int | None, name: str) -> str:
    """Return the name of a tensor in the layout ``name``, or its logical name if the layout has no rule for it."""
    conditions = conditions_of(row.entry.layer, row.entry.stack, alone=True)
    return stored_name(find_layout(name).rule(layout_keys(row), conditions), row, number)


def layout_keys(row: Row) -> list[str]:
    """Return the names by which a layout can refer to a tensor, most specific first.

    - a layer: kind and tensor (``attention.wq``, ``moe.shared.wu``);
    - a norm in a block: the kind or the number of its sub-layer (``mlp.pre_norm.w``, ``sublayer1.pre_norm.w``);
    - a layer outside the blocks: its name, with or without its final number (``token.w``), or its section and kind
      (``outputs/stored.w``).

    If a kind occurs several times in a block, the sub-layer's name is prepended (``adapter/mlp.wu``).
    """
    return _keys_at(_places(row.entry), row)


def _keys_at(places: list[str], row: Row) -> list[str]:
    return [".".join((place, *row.part, row.tensor.name)) for place in places]


def _places(entry: Entry) -> list[str]:
    """Return the names by which a layout can refer to a layer, most specific first."""
    sublayer = entry.sublayer.rstrip(DIGITS)
    if entry.run is None:
        return [entry.name, entry.name.rstrip(DIGITS), f"{entry.section}/{entry.layer.kind()}"]
    if entry.layer.kind() == "norm":
        mixer = entry.stack.runs[entry.run].block.sublayers[entry.number].branches[0].layer
        starts = (f"{sublayer}/", f"{mixer.layout_name()}.", f"sublayer{entry.number}.")
        return [f"{start}{entry.name}" for start in starts]
    name = entry.layer.layout_name()
    return [f"{sublayer}/{name}", name]


class Group(NamedTuple):
    """Rows that are stored in one tensor. The name has ``{i}`` for the numbers of several blocks."""

    rule: Rule | None
    rows: list[Row]
    name: str
    shape: Shape = ()

    @property
    def identity(self) -> tuple[int, ...]:
        """What determines the shape: the rule, and the declared tensors, which equal layers share."""
        return (id(self.rule), *(id(each) for row in self.rows for each in (row.declaration, row.tensor)))

    @property
    def copies(self) -> range | None:
        """Numbers of the experts or adapters that are stored one by one, or None if they are not."""
        rule, entry = self.rule, self.rows[0].entry
        if rule is None or not ("{x}" in rule.stored or "{a}" in rule.stored):
            return None
        position, step = alternation(entry.stack, entry.sublayer) if "{a}" in rule.stored else (0, 1)
        return range(position, position + self.shape[0] * step, step)

    def tensors(self) -> Iterator[tuple[str, Shape]]:
        """Yield the name and the shape of the stored tensor, or of the tensor of each expert or adapter."""
        copies = self.copies
        if copies is None:
            yield self.name, self.shape
            return
        before, after = self.name.replace("{a}", "{x}").split("{x}", 1)
        one = self.shape[1:]
        for index in copies:
            yield f"{before}{index}{after}", one


def grouped(
    architecture: Architecture, name: str, placed_rows: Iterable[tuple[Row, Number]]
) -> Iterator[tuple[Group, Number]]:
    """Group logical tensors by stored tensor, and yield each group with its block number or numbers.

    Rules, names and shapes are found once for equal blocks.
    """
    layout, alone = find_layout(name), len(architecture.stacks) == 1
    groups: dict[tuple[object, ...], tuple[Group, Number]] = {}
    known: dict[tuple[object, ...], tuple[Rule | None, str]] = {}
    of_layers: dict[int, tuple[Entry, list[str], frozenset[str]]] = {}  # keeps the identity of the entry
    for row, number in placed_rows:
        entry = row.entry
        run = None if entry.run is None else entry.stack.first_runs[entry.run]
        key = (entry.stack.name, entry.section, run, entry.number, entry.name, row.part, row.tensor.name)
        if key not in known:
            if id(entry) not in of_layers:
                of_layers[id(entry)] = entry, _places(entry), conditions_of(entry.layer, entry.stack, alone)
            _, places, holds = of_layers[id(entry)]
            rule = layout.rule(_keys_at(places, row), holds)
            known[key] = rule, stored_name(rule, row, None if number is None else NUMBER)
        rule, stored = known[key]
        if isinstance(number, int):
            stored = stored.replace(NUMBER, str(number))
        groups.setdefault((entry.stack.name, number, stored), (Group(rule, [], stored), number))[0].rows.append(row)
    shapes: dict[tuple[object, ...], Shape] = {}
    for group, number in groups.values():
        identity = group.identity
        if identity not in shapes:
            shapes[identity] = stored_shape(group.rule, group.rows)
        yield group._replace(shape=shapes[identity]), number


def stored_name(rule: Rule | None, row: Row, number: int | str | None) -> str:
    """Return the stored name of a tensor. The placeholders of experts and adapters are kept."""
    if rule is None:
        return logical_name(row, number)
    entry = row.entry
    numbered = entry.name if entry.run is None else entry.sublayer
    return rule.name(numbered, i=number, s=entry.number, side=entry.stack.name, n=entry.name, block=entry.section)


def stored_shape(rule: Rule | None, group: list[Row]) -> Shape:
    """Return the shape of a stored tensor. Experts that are stored one by one are the first dimension."""
    first = group[0]
    if rule is None:
        return logical_shape(first)
    shape = _joined([_stored_shape(row, rule) for row in group], first, rule)
    shape = (*(1,) * rule.row, *shape[rule.flat :], *(1,) * rule.column)
    return (shape[0] * shape[1], *shape[2:]) if rule.folded else shape


def _stored_shape(row: Row, rule: Rule) -> Shape:
    """Return the stored shape with one dimension per group of axes. A matrix is [out, in], or [in, out] if transposed.
    A convolution is [channels, 1, taps].
    """
    sizes = [prod(int(row.declaration.axes[axis]) for axis in group) for group in row.tensor.groups]
    if row.tensor.linear:
        *lead, inputs, outputs = sizes
        return (*lead, inputs, outputs) if rule.transposed else (*lead, outputs, inputs)
    return (sizes[0], 1, sizes[1]) if row.tensor.groups[-1] == ("K",) else tuple(sizes)


def _joined(shapes: list[Shape], row: Row, rule: Rule) -> Shape:
    """Return the shape of tensors joined along matrix outputs, or along the first dimension after the experts."""
    first = shapes[0]
    if row.tensor.linear:
        along = len(first) - (1 if rule.transposed else 2)
    else:
        along = 1 if row.tensor.active and len(first) > 1 else 0
    return (*first[:along], sum(shape[along] for shape in shapes), *first[along + 1 :])


def aliases(result: Params, name: str) -> dict[str, str]:
    """Return a mapping from alternative tensor names to stored names, based on tied tensors and additional rules."""
    layout, alone = find_layout(name), len(result.architecture.stacks) == 1
    primary: dict[object, str] = {}
    found: dict[str, str] = {}
    for row, number in _everywhere(result):
        keys = layout_keys(row)
        rule = layout.rule(keys, conditions_of(row.entry.layer, row.entry.stack, alone))
        others = [other for key in keys for other in layout.rules.get(key, ()) if "{x}" not in other.stored]
        stored = stored_name(rule, row, number)
        own = primary.setdefault(row.tensor.share or (row.entry.stack.name, number, stored), stored)
        for other in {stored, *(stored_name(other, row, number) for other in others)}:
            if other != own:
                found.setdefault(other, own)
    return {alias: of for alias, of in found.items() if alias not in primary.values()}


def _everywhere(result: Params) -> Iterator[tuple[Row, int | None]]:
    """Yield every parameter outside the blocks, and every occurrence of tied parameters inside the blocks."""
    for stack in result.architecture.stacks:
        first, own = 0, result.rows_by_run(stack)
        yield from ((row, None) for row in own.get(None, []))
        for index, run in enumerate(stack.runs):
            tied = [row for row in own.get(index, []) if row.tensor.share]
            yield from ((row, number) for number in range(first, first + run.count) for row in tied)
            first += 1 if run.shared else run.count
