"""NumPy functions of arrays that are divided over simulated ranks: contractions, sums, joins and moves of elements.

Forward, partial sums are reduced before a contraction. In the backward pass, which is linear in the gradients,
gradients stay partial sums until they are complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from ..calc.collectives import ALL_GATHER, ALL_REDUCE, FORWARD
from . import sharded_elementwise as sharded_elementwise  # registers its functions
from . import sharded_indexing as sharded_indexing
from .row_owners import routed, with_all_rows, with_rows_of_one_owner
from .sharded_array import OPERATIONS, ShardedArray, as_sharded, divide
from .sharded_elementwise import gathered, reduce_before_repetition, terms_along, with_equal_splits


def einsum(spec: str, *operands: Any, order: str = "K") -> ShardedArray:
    """Contract two arrays. An axis of the mesh that divides two different indices is gathered in one operand."""
    arrays = as_sharded(operands)
    ranks, is_weight = arrays[0].ranks, all(array.is_weight for array in arrays)
    left, out = spec.split("->")
    terms = left.split(",")
    if ranks.phase == FORWARD:
        arrays = [array.reduce(array.partial) for array in arrays]
    received = [_received(array, arrays) for array in arrays]
    arrays = [gathered(array, axes) for array, axes in zip(arrays, received, strict=True)]
    arrays, owners, masked = with_rows_of_one_owner(_with_one_index_per_axis(arrays, terms), terms, out)
    partial_sums = terms_along(np.multiply, arrays, operands) | masked
    divided = {axis: term[dim] for term, array in zip(terms, arrays, strict=True) for axis, dim in array.splits.items()}
    wanted = [{axis: term.index(letter) for axis, letter in divided.items() if letter in term} for term in terms]
    parts = []
    for rank in range(len(ranks.places)):
        own = [array.local(rank, splits) for array, splits in zip(arrays, wanted, strict=True)]
        parts.append(np.einsum(spec, *own, order="C"))
    sizes = dict(zip("".join(terms), (size for array in arrays for size in array.shape), strict=True))
    shape = [sizes[letter] for letter in out]
    splits = {axis: out.index(letter) for axis, letter in divided.items() if letter in out}
    owners = {axis: np.broadcast_to(owner, shape) for axis, owner in owners.items()}
    summed = partial_sums | (divided.keys() - splits.keys())
    found = ShardedArray(ranks, parts, shape, splits, summed, is_weight, owners)
    is_weighted = any(array.is_weight for array in arrays)
    found.is_moved = any(received) or not (is_weighted or splits or summed)  # terms of its gradient pass on
    return found


def _with_one_index_per_axis(arrays: list[ShardedArray], terms: Sequence[str]) -> list[ShardedArray]:
    """Return the operands of a contraction, of which one is gathered along mesh axes that divide another index in the
    other operand.
    """
    ranks = arrays[0].ranks
    for axes in ranks.by_group(ranks.sizes)[::-1]:
        shared = [axis for axis in axes if all(axis in array.splits for array in arrays)]
        if any(len({term[array.splits[a]] for term, array in zip(terms, arrays, strict=True)}) > 1 for a in shared):
            known = (n for n, array in enumerate(arrays) if ranks.is_known(ALL_GATHER, array.parts, shared))
            loser = next(known, 0 if arrays[1].is_weight else 1)
            dims = {arrays[loser].splits[axis] for axis in shared}
            is_stream = arrays[1 - loser].is_weight and 1 in dims and arrays[loser].has_token_rows
            is_saved = ranks.groups[shared[0]] == "tp" and not is_stream
            arrays[loser] = arrays[loser].gathered([a for a in axes if arrays[loser].splits.get(a) in dims], is_saved)
    return arrays


def _received(array: ShardedArray, operands: list[ShardedArray]) -> list[str]:
    """Return the context-parallel axes along which the ranks use the tokens of all ranks, such as keys in a ring."""
    ranks = array.ranks
    if array.gather_again and ranks.phase != FORWARD:
        array.gather_again()
    axes = [axis for axis in array.splits if ranks.groups[axis] == "cp"]
    partial = frozenset[str]().union(*(each.partial for each in operands if each is not array))
    is_needed = ranks.is_known(ALL_GATHER, array.parts, axes) if ranks.phase == FORWARD else bool(partial & {*axes})
    return axes if is_needed and not array.is_weight else []


def _along_axis(
    function: Any, is_linear: bool, array: ShardedArray, *more: Any, axis: int | None = None, **options: Any
) -> ShardedArray:
    """Apply a function along one axis, which is gathered if it is divided."""
    if axis is None:
        more, axis = more[:-1], more[-1]
    whole = array.gathered([name for name, dim in array.splits.items() if dim == axis % array.ndim])
    if not is_linear:
        whole.reduce(whole.partial)
    found = whole.moved(lambda part: function(part, *more, axis=axis, **options))
    found.is_moved = False
    return found


def _total(function: Any, array: ShardedArray, axis: Any = None, keepdims: Any = False) -> ShardedArray:
    """Return a sum or mean over dimensions. Over divided dimensions, the result is a partial sum."""
    dims = _dims(axis, array.ndim)
    if function is np.mean and array.ranks.phase == FORWARD:
        array.reduce(array.partial)  # a norm needs the whole row
    mixed = [name for name, owner in array.owners.items() if np.any(np.ptp(owner, axis=tuple(dims)))]
    array = array.as_terms(mixed)
    owners = {name: np.max(owner, axis=tuple(dims), keepdims=keepdims) for name, owner in array.owners.items()}
    found = {name: dim for name, dim in array.splits.items() if dim in dims}
    kept = {name: dim for name, dim in array.splits.items() if dim not in dims}
    parts = [np.sum(part, axis=tuple(dims), keepdims=keepdims) for part in array.parts]
    if function is np.mean:
        parts = [part / prod(array.shape[dim] for dim in dims) for part in parts]
    splits = {n: dim if keepdims else dim - sum(other < dim for other in dims) for n, dim in kept.items()}
    shape = [1 if dim in dims else size for dim, size in enumerate(array.shape) if keepdims or dim not in dims]
    total = ShardedArray(array.ranks, parts, shape, splits, array.partial | found.keys(), array.is_weight, owners)
    return _with_all_tokens(total) if array.ranks.phase == FORWARD else total


def _with_all_tokens(total: ShardedArray) -> ShardedArray:
    """Return a sum over the experts of a token on all ranks that have the same tokens."""
    for axis in total.ranks.share_of_tokens:
        if axis in total.owners and np.all(total.owners[axis] < total.ranks.sizes[axis]):  # not on the experts' ranks
            total = with_all_rows(total.reduce(total.partial), axis)
    return total


def _largest(array: ShardedArray, axis: Any = None, keepdims: Any = False) -> ShardedArray:
    array.reduce(array.partial)
    dims, ranks = _dims(axis, array.ndim), array.ranks
    kept = {name: dim for name, dim in array.splits.items() if dim not in dims}
    parts = [np.max(part, axis=tuple(dims), keepdims=True) for part in array.parts]
    for axes in ranks.by_group(array.splits.keys() - kept.keys()):
        parts = ranks.exchange(ALL_REDUCE, parts, axes, np.maximum.reduce)
    shape = [1 if dim in dims else size for dim, size in enumerate(array.shape)]
    whole = ShardedArray(ranks, parts, shape, kept)
    return whole if keepdims else whole.reshape([size for dim, size in enumerate(shape) if dim not in dims])


def _joined(function: Any, arrays: Sequence[Any], axis: int = 0) -> ShardedArray:
    """Join arrays along an axis by ``np.concatenate`` or ``np.stack``."""
    given, is_stack = as_sharded(arrays), function is np.stack
    ranks, is_weight = given[0].ranks, all(each.is_weight for each in given)
    dim = axis % (given[0].ndim + is_stack)
    given = given if is_stack else _with_rows_on_same_ranks(given, dim)
    spread = {name for each in given for name in each.owners}
    given = [each.owned(spread) for each in given]
    owners = {name: function([each.owner_of(name) for each in given], axis=axis) for name in spread}
    are_partial = all(isinstance(each, ShardedArray) and each.partial for each in arrays)
    # the result is larger than the partial sums, which a convolution also reads in parts of the padded rows
    given, summed = _with_equal_sums(given, is_reduced=ranks.phase == FORWARD and dim > 0 and not are_partial)
    if not is_stack:
        given = [gathered(each, [axis for axis, at in each.splits.items() if at == dim]) for each in given]
    splits = {axis: at + given[0].ndim for axis, at in with_equal_splits(given).items()}
    parts = [function([each.local(rank, splits) for each in given], axis=axis) for rank in range(len(ranks.places))]
    shape = list(function([np.broadcast_to(0.0, each.shape) for each in given], axis=axis).shape)
    moved = {name: at + (is_stack and at >= dim) for name, at in splits.items()}
    found = ShardedArray(ranks, parts, shape, moved, summed, is_weight, owners)
    found.is_moved = sum(isinstance(each, ShardedArray) for each in arrays) == 1  # the others are constants
    return found


def _with_equal_sums(arrays: list[ShardedArray], is_reduced: bool) -> tuple[list[ShardedArray], frozenset[str]]:
    """Return arrays that are partial sums along the same mesh axes, and these axes."""
    if is_reduced:
        arrays = [each.reduce(each.partial) for each in arrays]
    summed = frozenset[str]().union(*(each.partial for each in arrays))
    return [each.as_sum(summed) if summed else each for each in arrays], summed


def _with_rows_on_same_ranks(arrays: list[ShardedArray], dim: int) -> list[ShardedArray]:
    """Return arrays to be joined along a dimension, with rows on the ranks that have the same rows of an array that
    a mesh axis divides evenly.
    """
    spread = {name for each in arrays for name in each.owners}
    divided = [each for each in arrays if spread & each.splits.keys() and dim not in each.splits.values()]
    return [_as_divided(each, divided[0], spread) for each in arrays] if divided else arrays


def _as_divided(array: ShardedArray, other: ShardedArray, axes: Iterable[str]) -> ShardedArray:
    """Return an array with its rows on the ranks that have the same rows of another array."""
    moved = [axis for axis in axes if axis in array.owners and axis in other.splits]
    return routed(array, {axis: np.max(other.owner_of(axis), axis=-1, keepdims=True) for axis in moved}).settled()


def _repeated(array: ShardedArray, times: int, axis: int) -> ShardedArray:
    if array.ranks.phase == FORWARD:
        reduce_before_repetition([array], array.size * times)
    return array.moved(lambda part: np.repeat(part, times, axis=axis))


def _split(array: ShardedArray, count: int, axis: int = 0) -> list[ShardedArray]:
    size, before = array.shape[axis] // count, (slice(None),) * (axis % array.ndim)
    return [array[(*before, slice(number * size, (number + 1) * size))] for number in range(count)]


OPERATIONS |= {
    np.einsum: einsum,
    np.sum: partial(_total, np.sum),
    np.mean: partial(_total, np.mean),
    np.max: _largest,
    np.concatenate: partial(_joined, np.concatenate),
    np.stack: partial(_joined, np.stack),
    np.broadcast_to: lambda array, shape: array + np.zeros(shape),
    np.split: _split,
    np.zeros_like: lambda array, shape: divide(np.zeros(shape), array.ranks, {}),
    np.shape: lambda array: array.shape,
    np.ndim: lambda array: array.ndim,
    np.reshape: lambda array, shape: array.reshape(shape),
    np.iscomplexobj: lambda array: array.dtype.kind == "c",
    np.transpose: lambda array, axes: array.moved(lambda part: np.transpose(part, axes)),
    np.swapaxes: lambda array, one, two: array.moved(lambda part: np.swapaxes(part, one, two)),
    np.moveaxis: lambda array, source, to: array.moved(lambda part: np.moveaxis(part, source, to)),
    np.expand_dims: lambda array, axis: array.moved(lambda part: np.expand_dims(part, axis)),
    np.repeat: _repeated,
    np.put_along_axis: lambda array, at, values, axis: np.put_along_axis(array, np.asarray(at), values, axis),
    np.real: lambda array: array.moved(np.real),
    np.ones_like: lambda array: divide(np.ones(array.shape), array.ranks, dict(array.splits)),
    **{each: partial(_along_axis, each, True) for each in (np.cumsum, np.flip, np.roll, np.fft.fft, np.fft.ifft)},
    **{each: partial(_along_axis, each, False) for each in (np.sort, np.argsort)},
}


def _dims(axis: Any, ndim: int) -> list[int]:
    """Return the dimensions that an ``axis`` argument names."""
    axes = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return [dim % ndim for dim in axes]
