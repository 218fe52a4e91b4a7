"""Elementwise functions of arrays that are divided over simulated ranks.

Forward, partial sums are reduced before a nonlinear function. In the backward pass, which is linear in the gradients,
gradients stay partial sums until they are complete.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from ..calc.collectives import ALL_GATHER, FORWARD
from ..twins.weights import Array
from .row_owners import Owners, routed
from .sharded_array import EVERY, OPERATIONS, ShardedArray, Splits, as_sharded

LINEAR = (np.negative, np.positive, np.conj)
SUMS = (np.add, np.subtract)


def elementwise(function: Any, *inputs: Any) -> ShardedArray:
    """Apply an elementwise function to arrays with shapes that can be broadcast."""
    shape = np.broadcast_shapes(*map(np.shape, inputs))
    arrays = _ready(function, as_sharded(inputs), prod(shape))
    arrays, owners = _with_equal_owners(function, arrays, shape)
    terms = terms_along(function, arrays, inputs)
    is_weight = all(array.is_weight for array in arrays)
    if function in SUMS and terms:
        arrays = [array.as_sum(terms) for array in arrays]
    ranks, splits = arrays[0].ranks, with_equal_splits(arrays)
    with np.errstate(invalid="ignore"):  # rows that a rank does not have
        parts = [function(*(_local(array, rank, splits) for array in arrays)) for rank in range(len(ranks.places))]
    at = {axis: dim + len(shape) for axis, dim in splits.items()}
    found = ShardedArray(ranks, parts, shape, at, terms, is_weight, owners)
    if function is np.add:
        found.copied = frozenset(n for n in range(len(shape)) if all(_is_copied(each, n, shape) for each in inputs))
    return found


def _ready(function: Any, arrays: list[ShardedArray], size: int) -> list[ShardedArray]:
    """Return the operands after the exchanges that cost less before the function than after it."""
    is_forward = arrays[0].ranks.phase == FORWARD
    if is_forward:
        reduce_before_repetition(arrays, size)
    if function is not np.multiply:
        return arrays
    if not is_forward:  # a small factor is used again
        return [gathered(each, _known(each, arrays)) for each in arrays]
    largest = max(arrays, key=lambda array: array.size)
    if largest.owners.keys().isdisjoint(largest.ranks.experts):  # a small factor is gathered instead of a sum reduced
        return [each if each.size == largest.size else each.gathered(largest.partial) for each in arrays]
    return arrays


def reduce_before_repetition(arrays: list[ShardedArray], size: int) -> None:
    """Reduce partial sums before their elements are repeated in a larger result, which would be reduced otherwise."""
    for array in arrays:
        if array.size < size:
            array.reduce(array.partial)


def with_equal_splits(arrays: list[ShardedArray]) -> Splits:
    """Gather operands so that each mesh axis divides all along the same dimension. Return the divided dimensions,
    counted from the last one.
    """
    splits: Splits = {}
    for each in arrays:
        own = {axis: dim - each.ndim for axis, dim in each.splits.items()}
        splits = own | splits
        each.gather(axis for axis, dim in own.items() if dim != splits[axis])
    return splits


def _local(array: ShardedArray, rank: int, splits: Splits) -> Array:
    """Return what a rank needs of an operand. Dimensions that are broadcast are not divided."""
    wanted = {axis: at + array.ndim for axis, at in splits.items()}
    return array.local(rank, {axis: at for axis, at in wanted.items() if at >= 0 and array.shape[at] > 1})


def _is_copied(array: Any, dim: int, shape: Sequence[int]) -> bool:
    """Return whether an operand that is broadcast to a shape has equal elements along a dimension, or adds zeros."""
    at = dim - len(shape) + np.ndim(array)
    if at < 0 or np.shape(array)[at] == 1:
        return shape[dim] > 1
    return at in array.copied if isinstance(array, ShardedArray) else not np.any(array)


def gathered(array: ShardedArray, axes: Collection[str]) -> ShardedArray:
    """Return the array itself, or with whole dimensions if the given axes divide it."""
    return array.gathered(axes) if axes else array


def _known(array: ShardedArray, operands: list[ShardedArray]) -> list[str]:
    """Return the divided axes of a small factor that the ranks have gathered, if a larger factor is whole."""
    larger = [each for each in operands if each.size > array.size]
    groups = array.ranks.by_group(axis for axis in array.splits if any(axis not in each.splits for each in larger))
    return [axis for axes in groups if array.ranks.is_known(ALL_GATHER, array.parts, axes) for axis in axes]


def _with_equal_owners(
    function: Any, arrays: list[ShardedArray], shape: Sequence[int]
) -> tuple[list[ShardedArray], Owners]:
    """Return the operands of an elementwise function with elements on the same ranks, and the owners of the result."""
    owners: Owners = {}
    targets: list[Owners] = [{} for _ in arrays]
    arrays = _with_shares_of_tokens(function, arrays)
    for axis in dict.fromkeys(axis for array in arrays for axis in array.owners):
        is_divided = any(axis in array.splits for array in arrays)
        first, joint = _owners_along(axis, arrays, shape)
        is_on_every_rank = any(not each.is_weight and np.all(each.owner_of(axis) == EVERY) for each in arrays)
        if function in SUMS and (is_on_every_rank or joint is None):
            arrays = [array.as_terms([axis]) for array in arrays]
            continue
        for array, target in zip(arrays, targets, strict=True):
            if axis in array.owners and (is_divided or joint is None):
                rows = first[(0,) * (len(shape) - array.ndim)]
                target[axis] = rows[tuple(slice(0, size) for size in array.shape)]
        if not is_divided:
            owners[axis] = first if joint is None else joint
    for number, target in enumerate(targets):
        if target:
            divided = {axis for array in arrays for axis in array.splits}
            arrays[number] = _sent(arrays[number], target, divided, owners)
    return arrays, owners


def _owners_along(axis: str, arrays: list[ShardedArray], shape: Sequence[int]) -> tuple[Array, Array | None]:
    """Return the owners in the first operand that decides them, and the owners in all operands if these agree.

    Operands that a mesh axis divides evenly decide. Experts send their results back to the owners of the tokens.
    """
    divided = [array for array in arrays if axis in array.splits]
    maps = [np.broadcast_to(array.owner_of(axis), shape) for array in divided or arrays]
    ranks = arrays[0].ranks
    if axis in ranks.share_of_tokens:
        maps.sort(key=lambda owner: bool(np.any(owner >= ranks.sizes[axis])))
    joint = np.max(maps, axis=0)
    return maps[0], joint if all(np.all((each == joint) | (each == EVERY)) for each in maps) else None


def _sent(array: ShardedArray, target: Owners, divided: Collection[str], owners: Owners) -> ShardedArray:
    """Return an operand with elements on the ranks that have those of another operand."""
    array = array.settle()
    sent = routed(array.reduce(array.partial & set(divided)), target)
    return sent.settled().owned(owners) if target.keys() - owners.keys() else sent


def _with_shares_of_tokens(function: Any, arrays: list[ShardedArray]) -> list[ShardedArray]:
    """Return the operands of a product, with the weights of a token's experts on the rank that sent the token."""
    axes = {axis for array in arrays for axis in array.owners.keys() & set(array.ranks.share_of_tokens)}
    if function is not np.multiply or not axes or arrays[0].ndim < 4:
        return arrays
    found = []
    for array in arrays:
        shares = [
            axis for axis in axes if not array.is_weight and axis not in array.owners and axis not in array.splits
        ]
        found.append(array.narrowed(dict.fromkeys(shares, 1)).owned(shares) if shares else array)
    return found


def terms_along(function: Any, arrays: list[ShardedArray], inputs: Sequence[Any]) -> frozenset[str]:
    """Return the mesh axes along which the result is a partial sum. Reduce the operands along all other axes."""
    kept, size = set(), prod(np.broadcast_shapes(*(array.shape for array in arrays))) if function in SUMS else 0
    ranks = arrays[0].ranks
    for axis in ranks.sizes:
        others = [array for array in arrays if axis not in array.partial]
        is_divided = any(axis in array.splits for array in others)
        is_forward, n_terms = ranks.phase == FORWARD, len(arrays) - len(others)
        if function in SUMS:
            is_whole = all(array.size == size for array in arrays if axis in array.partial)
            is_kept = not is_divided or (is_whole and not is_forward)
        elif function is np.multiply or (function is np.true_divide and axis in arrays[0].partial):
            factors = [each for each in inputs if isinstance(each, ShardedArray) and axis not in each.partial]
            is_scaled = any(each.is_weight for each in factors)
            is_equal = all(each.size == arrays[0].size for each in arrays[1:])
            is_kept = n_terms == 1 and not is_divided and not (is_forward and (is_scaled or is_equal))
        else:
            is_kept = function in LINEAR
        if n_terms and is_kept:
            kept.add(axis)
    for array in arrays:
        array.reduce(array.partial - kept)
    return frozenset(kept)


OPERATIONS[np.ufunc] = elementwise
OPERATIONS |= {function: partial(elementwise, function) for function in (np.where, np.clip)}
