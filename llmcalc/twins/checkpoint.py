"""Conversion of checkpoint tensors to the weights of a NumPy model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from math import prod

import numpy as np

from ..checkpoint.layouts import BUFFERS, Layout, Rule, alternation, conditions_of, find_layout, published_name
from ..core.architecture import Architecture
from ..core.errors import InputError, SizeError, UnknownNameError, nearest
from ..core.record import NamedTuple
from .plan import PlacedLayer, PlacedStack, omitted_tower_layers
from .weights import Array, Sizes, Weight

REAL = "fV"  # NumPy type kinds: floating-point numbers, and types of other packages, such as bfloat16
WHOLE = "iu"  # integers, for tables of choices
# conditions about a layer; the other conditions of a rule are roles and names of stacks
STATES = frozenset(["tied", "untied", "gated", "plain", "single", "many", "spare", "lone", "alone", "beside"])
QUARTERS = 4  # CodeGen stores queries, values and keys in four groups, one per core of its training hardware


class _Part(NamedTuple):
    """A weight within a stored tensor."""

    name: str
    weight: Weight
    stored: Sizes
    turns: int = 1
    place: int = 0  # index in the stored tensor


Groups = dict[str, tuple[Rule | None, list[_Part]]]


def read(architecture: Architecture, stacks: list[PlacedStack], given: Mapping[str, Array]) -> dict[str, Array]:
    """Return the model's tensors by logical name.

    Raises:
        InputError: A tensor is missing, unexpected or of the wrong type, or contains non-finite numbers.
        SizeError: A tensor has the wrong shape.
    """
    groups, aliases = _match_names(architecture, stacks, given)
    found: dict[str, Array] = {}
    for stored, (rule, parts) in groups.items():
        names = [stored, *(alias for alias, of in aliases.items() if of == stored and alias not in groups)]
        present = [name for name in names if name in given]
        if not present and all(part.weight.computed for part in parts):
            continue
        if not present:
            near = nearest(stored, given)
            hint = f"did you mean {' or '.join(near)}?" if near else ""
            raise InputError(f"missing tensor {stored} of shape {_shape(parts, rule)}", hint=hint)
        choices = parts[0].weight.below  # 0: not a table of choices
        array = _validate(present[0], given[present[0]], _shape(parts, rule), WHOLE if choices else REAL)
        if choices and not np.isin(array, np.arange(choices)).all():
            raise InputError(f"{present[0]} contains values outside the range 0 to {choices - 1}", where=present[0])
        for alias in present[1:]:
            if not np.array_equal(array, _validate(alias, given[alias], array.shape)):
                raise InputError(f"{alias} and {present[0]} are tied, but their values differ", where=alias)
        _split(array, parts, rule, found)
    known = {*groups, *aliases, *_omitted_names(architecture, stacks)}
    for name in given:
        if name not in known and not name.endswith(BUFFERS):
            hint = f"{architecture.name} has no tensor with this name."
            raise UnknownNameError(f"tensor of shape {tuple(np.shape(given[name]))}", name, known, hint=hint)
    experts: dict[str, list[Array]] = defaultdict(list)  # stored separately
    for name in [name for name in found if "#" in name]:
        experts[name.partition("#")[0]].append(found.pop(name))
    return found | {name: np.stack(arrays) for name, arrays in experts.items()}


def _match_names(
    architecture: Architecture, stacks: list[PlacedStack], given: Mapping[str, Array]
) -> tuple[Groups, dict[str, str]]:
    """Return the stored tensors under their transformers or published names, depending on which match more tensors."""
    alone = len(architecture.stacks) == 1
    today = _stored(stacks, find_layout(architecture.layout), alone)
    if today[0].keys() <= given.keys():
        return today
    older = _stored(stacks, find_layout(published_name(architecture)), alone)
    return max(today, older, key=lambda named: len(named[0].keys() & given.keys()) / len(named[0]))


def _omitted_names(architecture: Architecture, stacks: list[PlacedStack]) -> Iterator[str]:
    """Yield the stored tensor names of encoders that the NumPy model omits."""
    towers = list(omitted_tower_layers(architecture, stacks))
    for layout in map(find_layout, (architecture.layout, published_name(architecture)) if towers else ()):
        for placed in towers:
            holds = conditions_of(placed.layer, placed.stack, False)
            for logical, rules in layout.rules.items():
                if logical.startswith(tuple(f"{key}." for key in placed.keys)):
                    yield from (_name(rule, placed) for rule in rules if rule.conditions <= holds)


def _validate(name: str, array: Array, shape: Sizes, kinds: str = REAL) -> Array:
    """Check the shape, type and finiteness of a tensor, and return the tensor as float64."""
    found = np.asarray(array)
    if found.shape != shape:
        raise SizeError(f"{name} must have shape {shape}, not {tuple(found.shape)}", where=name)
    if found.dtype.kind not in kinds:
        hint = "Load the weights before quantisation." if found.dtype.kind in WHOLE else ""
        text = f"{name} has type {found.dtype}; weights must be floating-point numbers"
        raise InputError(text, where=name, hint=hint)
    found = found.astype(np.float64)
    if not np.isfinite(found).all():
        raise InputError(f"{name} contains {int((~np.isfinite(found)).sum())} non-finite numbers", where=name)
    return found


def _stored(stacks: list[PlacedStack], layout: Layout, alone: bool) -> tuple[Groups, dict[str, str]]:
    """Return the stored tensors with the weights that they contain, and the aliases of tied tensors."""
    groups: Groups = {}
    aliases: dict[str, str] = {}
    places: dict[str, list[str]] = {}
    for placed in (layer for stack in stacks for layer in stack.layers()):
        for weight in placed.weights:
            keys = [f"{key}.{weight.name}" for key in placed.keys]
            holds = conditions_of(placed.layer, placed.stack, alone)
            rule = layout.rule(keys, holds)
            name = placed.names[weight.name]
            names = list(_names(rule, placed, weight, name))
            placing = (other for key in keys for other in layout.rules.get(key, ()) if other is not rule)
            others = [other for other in placing if other.conditions - STATES <= holds]
            if name in places:  # a shared tensor that occurred before
                aliases |= {other: of for other, of in zip(names, places[name], strict=True) if other != of}
            else:
                places[name] = names
                for number, stored in enumerate(names):
                    apart = rule is not None and ("{x}" in rule.stored or "{a}" in rule.stored)
                    logical = f"{name}#{number}" if apart else name
                    one = weight._replace(groups=weight.groups[1:], per_expert=False) if apart else weight
                    index = next((rule.parts.index(key) for key in keys if key in rule.parts), 0) if rule else 0
                    # the number of groups of weights that alternate by head: of key heads, if heads share them
                    heads = weight.groups[-1][0] if weight.groups[-1] else 1
                    turns = int(getattr(placed.layer, "n_k_heads", heads))
                    part = _Part(logical, one, _stored_shape(one, rule), turns, index)
                    groups.setdefault(stored, (rule, []))[1].append(part)
            if len(names) == 1:
                aliases |= {_name(other, placed): names[0] for other in others if "{x}" not in other.stored}
    for _, parts in groups.values():
        parts.sort(key=lambda part: part.place)
    return groups, {alias: of for alias, of in aliases.items() if alias not in groups}


def _names(rule: Rule | None, placed: PlacedLayer, weight: Weight, name: str) -> Iterator[str]:
    """Yield the stored names of a weight. Experts or adapters that are stored separately have one name each."""
    if rule is None:
        yield name
        return
    stored = _name(rule, placed)
    apart = weight.groups[0][0] if "{x}" in stored or "{a}" in stored else 1
    first, step = alternation(placed.stack, placed.sublayer_name)
    for number in range(apart):
        yield stored.replace("{x}", str(number)).replace("{a}", str(first + number * step))


def _name(rule: Rule, placed: PlacedLayer) -> str:
    marks = {"i": placed.number, "s": placed.sublayer, "n": placed.branch, "side": placed.stack.name}
    return rule.name(placed.sublayer_name or placed.keys[0], block=placed.block, **marks)


def _stored_shape(weight: Weight, rule: Rule | None) -> Sizes:
    """Return the stored shape of a weight, such as [out, in] for a matrix or [channels, 1, taps] for a kernel."""
    if rule is None:
        return weight.shape
    sizes = tuple(prod(group) for group in weight.groups)
    if weight.matrix:
        sizes = sizes if rule.transposed else (*sizes[:-2], sizes[-1], sizes[-2])
        return (prod(sizes[:-1]), sizes[-1]) if rule.folded else sizes
    is_kernel = weight.name.startswith(("conv", "short", "span")) and len(sizes) == 2
    return (sizes[0], 1, sizes[1]) if is_kernel else sizes


def _along(part: _Part, rule: Rule | None) -> int:
    """Return the dimension along which the weights in a stored tensor are concatenated."""
    if part.weight.matrix:
        return len(part.stored) - (1 if rule and rule.transposed else 2)
    return 1 if part.weight.per_expert and len(part.stored) > 1 else 0


def _shape(parts: list[_Part], rule: Rule | None) -> Sizes:
    shape = list(parts[0].stored)
    if len(parts) > 1:
        shape[_along(parts[0], rule)] = sum(part.stored[_along(part, rule)] for part in parts)
    return (*[1] * (rule.row if rule else 0), *shape[rule.flat if rule else 0 :], *[1] * (rule.column if rule else 0))


def _split(array: Array, parts: list[_Part], rule: Rule | None, found: dict[str, Array]) -> None:
    """Split a stored tensor, and reshape each piece to the shape of its weight."""
    array = array.reshape(array.shape[rule.row : array.ndim - rule.column]) if rule else array
    for part, piece in zip(parts, _pieces(array, parts, rule), strict=True):
        if rule and rule.folded:  # experts stacked in one matrix
            piece = piece.reshape(*(prod(group) for group in part.weight.groups[:-2]), -1, piece.shape[-1])
        if part.weight.matrix and rule and not rule.transposed:
            piece = np.swapaxes(piece, -1, -2)
        found[part.name] = piece.reshape(part.weight.shape)


def _pieces(array: Array, parts: list[_Part], rule: Rule | None) -> list[Array]:
    """Split a stored tensor along the dimension in which its weights are concatenated or interleaved."""
    along = _along(parts[0], rule)
    lengths = [part.stored[along] for part in parts]
    if len(parts) == 1:
        return [array]
    if rule is None or not rule.alternate:
        return np.split(array, np.cumsum(lengths)[:-1], axis=along)
    turns = {"heads": min(part.turns for part in parts), "quarters": QUARTERS}.get(rule.alternate, lengths[0])
    shape = array.shape
    apart = array.reshape(*shape[:along], turns, -1, *shape[along + 1 :])
    pieces = np.split(apart, np.cumsum([length // turns for length in lengths])[:-1], axis=along + 1)
    return [piece.reshape(*shape[:along], -1, *shape[along + 1 :]) for piece in pieces]
