"""Differences between two architectures in stacks, block order, sub-layers and layer fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from ..core.architecture import Architecture, Block, Run, Stack, Sublayer
from ..core.description.structure import NOTHING, paper_name, word
from ..core.description.text_kind import TextLayer
from ..core.layer import Layer
from ..core.layer_history import without_n_sums
from ..core.part import nested_fields
from ..core.record import NamedTuple
from .build import STACK_FLAGS, STACK_NUMBERS
from .describe import block_order
from .export import explicit_fields, name_and_fields
from .order import shortest_order
from .plain_kinds import definition_differences

_WEIGHTS = ("residual", "residual_normed", "depth_scaled", "scale", "residual_scale")
_SUMS = (*_WEIGHTS, "share", "input_from", "residual_from", "concat_input")
_STACK = ("tokens", *STACK_NUMBERS, *STACK_FLAGS)
IMPLEMENTATION = "implementation"  # how a program runs a layer, which is not its architecture
JOINING = ("d_model", "d_in", "d_out")  # fields that default to the width of the stream


class Difference(NamedTuple):
    """A difference with the affected part, the property that differs, and both values as text."""

    part: str
    what: str
    first: str
    second: str


Found = Iterator[Difference]
Part = TypeVar("Part")


def differences(first: Architecture, second: Architecture) -> list[Difference]:
    """Return all differences that would appear in a preset. A difference shared by several blocks is listed once."""
    several = max(len(first.stacks), len(second.stacks)) > 1
    found: list[Difference] = []
    stacks = [{stack.name if several else "": stack for stack in model.stacks} for model in (first, second)]
    extras = [{extra.name: extra.stack for extra in model.extras} for model in (first, second)]
    for name, one, other in _matched(*stacks):
        prefix = f"{name} " if several else ""
        usual = name or first.main.role
        found += (entry._replace(part=(prefix + entry.part).strip() or usual) for entry in _stack(one, other))
    for name, one, other in _matched(*extras):
        found += (entry._replace(part=f"not counted: {name} {entry.part}".strip()) for entry in _stack(one, other))
    return found


def _matched(first: Mapping[str, Part], second: Mapping[str, Part]) -> Iterator[tuple[str, Part | None, Part | None]]:
    """Pair parts by name, or regardless of name if there is only one part on each side."""
    if len(first) == len(second) == 1:
        ((name, one),), (other,) = first.items(), second.values()
        yield name, one, other
        return
    for name in dict.fromkeys((*first, *second)):
        yield name, first.get(name), second.get(name)


def _stack(first: Stack | None, second: Stack | None) -> Found:
    if first is None or second is None:
        sizes = [f"{stack.n_layers} layers, d_model {stack.d_model}" if stack else NOTHING for stack in (first, second)]
        yield Difference("", "stack", *sizes)
        return
    first, second = without_n_sums(first), without_n_sums(second)
    for what in ("role", "n_layers", "d_model", *_STACK):
        yield from _values("", what, getattr(first, what), getattr(second, what))
    yield from _layers(dict(first.inputs), dict(second.inputs), first, second)
    yield from _values("", "order", _order(first.runs), _order(second.runs))
    yield from _blocks(first, second)
    yield from _layers(dict(first.outputs), dict(second.outputs), first, second)


def _order(runs: Sequence[Run]) -> str:
    """Return the block order as text, or an empty string for a single run of unshared blocks."""
    if len(runs) == 1 and not runs[0].shared:
        return ""
    order = shortest_order(block_order(runs))
    return ", ".join(map(_item, order if isinstance(order, list) else [order]))


def _item(item: Any) -> str:
    """Format one item of a block order."""
    if isinstance(item, str):
        return item
    if "cycle" in item:
        return f"cycle of {', '.join(item['cycle'])}"
    if "pattern" in item:
        legend = ", ".join(f"{letter} {name}" for letter, name in item["legend"].items())
        return f"{item['pattern']} ({legend})"
    name = item["block"] if "block" in item else f"shared {item['shared']}"
    return f"{name} * {item['times']}"


def _blocks(first: Stack, second: Stack) -> Found:
    """Return the differences between blocks, with the names of all affected blocks."""
    where: dict[Difference, list[str]] = {}
    pairs = list(_matched(*({run.block.name: run.block for run in stack.runs} for stack in (first, second))))
    for name, one, other in pairs:
        for entry in _block(one, other, first, second):
            where.setdefault(entry, []).append(name)
    for entry, names in where.items():
        everywhere = len(names) == len(pairs)
        yield entry if everywhere else entry._replace(part=f"{', '.join(names)}: {entry.part}".removesuffix(": "))


def _block(one: Block | None, other: Block | None, first: Stack, second: Stack) -> Found:
    if one is None or other is None:
        names = [", ".join(part.name for part in block.sublayers) if block else NOTHING for block in (one, other)]
        yield Difference("", "block", *names)
        return
    parts = [{part.name: part for part in block.sublayers} for block in (one, other)]
    for name, here, there in _matched(*parts):
        for entry in _sublayer(here, there, first, second):
            yield entry._replace(part=f"{name} {entry.part}".strip())


def _sublayer(one: Sublayer | None, other: Sublayer | None, first: Stack, second: Stack) -> Found:
    if one and other:
        for what in _SUMS:
            yield from _values("", what, getattr(one, what), getattr(other, what))
        joining = ((branch for branch in part.branches if branch.joins) for part in (one, other))
        yield from _values("", "joins", *(", ".join(f"{late.name}: {late.joins}" for late in own) for own in joining))
    yield from _layers(_named(one), _named(other), first, second)


def _named(part: Sublayer | None) -> dict[str, Layer]:
    """Return a sub-layer's layers and norms by name. The name of a single branch is empty."""
    if part is None:
        return {}
    alone = len(part.branches) == 1
    found: dict[str, Layer | None] = {}
    for branch in part.branches:
        found["" if alone else branch.name] = branch.layer
        owner = "own" if alone else branch.name
        found |= {f"{owner} pre norm": branch.pre, f"{owner} post norm": branch.post}
    found |= {"pre norm": part.pre, "post norm": part.post, "after norm": part.after}
    return {name: layer for name, layer in found.items() if layer}


def _layers(one: Mapping[str, Layer], other: Mapping[str, Layer], first: Stack, second: Stack) -> Found:
    for name in dict.fromkeys((*one, *other)):
        here, there = one.get(name), other.get(name)
        if isinstance(here, TextLayer) and isinstance(there, TextLayer) and here.kind() == there.kind():
            for key, *texts in definition_differences(here.definition, there.definition):
                yield Difference(name, f"{here.kind()} {key}", *(text or NOTHING for text in texts))
        elif here is None or there is None or type(here) is not type(there):
            yield Difference(name, "layer", _format_layer(here, first), _format_layer(there, second))
            continue
        telling = {*_paths(explicit_fields(here, first.d_model)), *_paths(explicit_fields(there, second.d_model))}
        own, others = ({path: value for path, value, *_ in nested_fields(layer)} for layer in (here, there))
        for path in dict.fromkeys((*own, *others)):
            values = own.get(path), others.get(path)
            if path not in telling or (path in JOINING and values == (first.d_model, second.d_model)):
                continue
            if path.partition(".")[0] == IMPLEMENTATION or (
                path == "scale" and _score_scale(here) == _score_scale(there)
            ):
                continue
            title = paper_name(here, path, values[0]) if type(values[0]) is int else path
            yield from _values(name, title, *values)


def _score_scale(layer: Layer) -> float | None:
    """Return the factor of attention scores, which is the reciprocal root of the head size if the field is not set."""
    scale, width = getattr(layer, "scale", None), getattr(layer, "d_head", None)
    return width**-0.5 if scale is None and width else scale


def part_names(model: Architecture) -> str:
    """Return the names of the sub-layers of each block, in order."""
    blocks = {run.block.name: run.block for stack in model.stacks for run in stack.runs}
    return "; ".join(f"{name}: {', '.join(part.name for part in block.sublayers)}" for name, block in blocks.items())


def _paths(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the dotted path of every key, including nested keys."""
    for key, value in data.items():
        yield key
        yield from (f"{key}.{path}" for path in _paths(value if isinstance(value, dict) else {}))


def _format_layer(layer: Layer | None, stack: Stack) -> str:
    """Format a layer as written in presets, with its kind and explicit fields."""
    if layer is None:
        return NOTHING
    name, values = name_and_fields(layer, stack.d_model)
    return ", ".join([name, *(f"{field} {word(value)}" for field, value in values.items())])


def _values(part: str, what: str, first: object, second: object) -> Found:
    if first != second:
        yield Difference(part, what, word(first) or NOTHING, word(second) or NOTHING)
