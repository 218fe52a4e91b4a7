"""NumPy functions of arrays that are divided over simulated ranks.

Forward, partial sums are reduced before a contraction or a nonlinear function. In the backward pass, which is linear
in the gradients, gradients stay partial sums until they are complete.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from ..calc.collectives import ALL_GATHER, ALL_REDUCE, FORWARD
from ..twins.weights import Array
from .ranks import Ranks
from .row_owners import routed, with_all_rows, with_rows_of_one_owner
from .sharded_array import EVERY, ShardedArray, Splits, divide

LINEAR = (np.negative, np.positive, np.conj)
SUMS = (np.add, np.subtract)
ELEMENTWISE = (np.where, np.clip)


def call(ranks: Ranks, function: Any, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """Call a NumPy function.

    Raises:
        NotImplementedError: if the function is not implemented for divided arrays.
    """
    if function in ELEMENTWISE:
        return elementwise(ranks, function, inputs)
    if function not in FUNCTIONS:
        raise NotImplementedError(f"sharded arrays do not implement {function.__name__}")
    return FUNCTIONS[function](*inputs, **options)


def elementwise(ranks: Ranks, function: Any, inputs: Sequence[Any]) -> ShardedArray:
    """Apply an elementwise function to arrays with shapes that can be broadcast."""
    shape = np.broadcast_shapes(*map(np.shape, inputs))
    arrays = [each if isinstance(each, ShardedArray) else divide(each, ranks, {}, True) for each in inputs]
    if ranks.phase == FORWARD:
        _reduce_before_repetition(arrays, prod(shape))
    if function is np.multiply and ranks.phase == FORWARD:
        largest = max(arrays, key=lambda array: array.size)
        if largest.owners.keys().isdisjoint(ranks.experts):  # a small factor is gathered instead of a sum reduced
            arrays = [each if each.size == largest.size else each.gathered(largest.partial) for each in arrays]
    elif function is np.multiply:  # and is used again
        arrays = [_gathered(each, _known(each, arrays)) for each in arrays]
    arrays, owners = _with_equal_owners(function, arrays, shape)
    terms = _terms(ranks, function, arrays, inputs)
    is_weight = all(array.is_weight for array in arrays)
    if function in SUMS and terms:
        arrays = [array.as_sum(terms) for array in arrays]
    splits: Splits = {}  # counted from the last dimension
    for number, array in enumerate(arrays):
        for axis, dim in array.splits.items():
            if splits.setdefault(axis, dim - array.ndim) != dim - array.ndim:
                arrays[number] = arrays[number].gathered([axis])
    parts = []
    for rank in range(len(ranks.places)):
        own = []
        for array in arrays:
            wanted = {axis: at + array.ndim for axis, at in splits.items()}
            wanted = {axis: at for axis, at in wanted.items() if at >= 0 and array.shape[at] > 1}
            own.append(array.local(rank, wanted))
        with np.errstate(invalid="ignore"):  # rows that the rank does not have
            parts.append(function(*own))
    at = {axis: dim + len(shape) for axis, dim in splits.items()}
    found = ShardedArray(ranks, parts, shape, at, terms, is_weight, owners)
    if function is np.add:
        copied = (dim for dim in range(len(shape)) if all(_is_copied(each, dim, shape) for each in inputs))
        found.copied = frozenset(copied)
    return found


def _reduce_before_repetition(arrays: list[ShardedArray], size: int) -> None:
    """Reduce partial sums before their elements are repeated in a larger result, which would be reduced otherwise."""
    for array in arrays:
        if array.size < size:
            array.reduce(array.partial)


def _is_copied(array: Any, dim: int, shape: Sequence[int]) -> bool:
    """Return whether an operand that is broadcast to a shape has equal elements along a dimension, or adds zeros."""
    at = dim - len(shape) + np.ndim(array)
    if at < 0 or np.shape(array)[at] == 1:
        return shape[dim] > 1
    return at in array.copied if isinstance(array, ShardedArray) else not np.any(array)


def _gathered(array: ShardedArray, axes: Collection[str]) -> ShardedArray:
    """Return the array itself, or with whole dimensions if the given axes divide it."""
    return array.gathered(axes) if axes else array


def _known(array: ShardedArray, operands: list[ShardedArray]) -> list[str]:
    """Return the divided axes of a small factor that the ranks have gathered, if a larger factor is whole."""
    larger = [each for each in operands if each.size > array.size]
    groups = array.ranks.by_group(axis for axis in array.splits if any(axis not in each.splits for each in larger))
    return [axis for axes in groups if axes and array.ranks.is_known(ALL_GATHER, array.parts, axes) for axis in axes]


def _with_equal_owners(
    function: Any, arrays: list[ShardedArray], shape: Sequence[int]
) -> tuple[list[ShardedArray], dict[str, Array]]:
    """Return the operands of an elementwise function with elements on the same ranks, and the owners of the result."""
    owners: dict[str, Array] = {}
    targets: list[dict[str, Array]] = [{} for _ in arrays]
    arrays = _with_shares_of_tokens(function, arrays)
    for axis in dict.fromkeys(axis for array in arrays for axis in array.owners):
        divided = [array for array in arrays if axis in array.splits]
        maps = [np.broadcast_to(array.owner_of(axis), shape) for array in divided or arrays]
        if axis in arrays[0].ranks.share_of_tokens:  # experts send their results back to the owners of the tokens
            size = arrays[0].ranks.sizes[axis]
            maps = [*(each for each in maps if np.all(each < size)), *(each for each in maps if np.any(each >= size))]
        found = np.max(maps, axis=0)
        is_equal = all(np.all((each == found) | (each == EVERY)) for each in maps)
        is_on_every_rank = any(not each.is_weight and np.all(each.owner_of(axis) == EVERY) for each in arrays)
        if function in SUMS and (is_on_every_rank or not is_equal):
            arrays = [array.as_terms([axis]) for array in arrays]
            continue
        for number, array in enumerate(arrays):
            if axis in array.owners and (divided or not is_equal):
                first = (0,) * (len(shape) - array.ndim)
                targets[number][axis] = maps[0][first][tuple(slice(0, size) for size in array.shape)]
        if not divided:
            owners[axis] = found if is_equal else maps[0]
    for number, target in enumerate(targets):
        if target:
            divided_along = {axis for each in arrays for axis in each.splits}
            array = arrays[number].settle()
            sent = routed(array.reduce(array.partial & divided_along), target)
            arrays[number] = sent.settled().owned(owners) if target.keys() - owners.keys() else sent
    return arrays, owners


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


def _terms(ranks: Ranks, function: Any, arrays: list[ShardedArray], inputs: Sequence[Any]) -> frozenset[str]:
    """Return the mesh axes along which the result is a partial sum. Reduce the operands along all other axes."""
    kept, size = set(), prod(np.broadcast_shapes(*(array.shape for array in arrays))) if function in SUMS else 0
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


def einsum(spec: str, *operands: Any, order: str = "K") -> ShardedArray:
    """Contract two arrays. An axis of the mesh that divides two different indices is gathered in one operand."""
    ranks = next(each.ranks for each in operands if isinstance(each, ShardedArray))
    arrays = [each if isinstance(each, ShardedArray) else divide(each, ranks, {}, True) for each in operands]
    is_weight = all(array.is_weight for array in arrays)
    left, out = spec.split("->")
    terms = left.split(",")
    if ranks.phase == FORWARD:
        arrays = [array.reduce(array.partial) for array in arrays]
    received = [_received(array, arrays) for array in arrays]
    arrays = [_gathered(array, axes) for array, axes in zip(arrays, received, strict=True)]
    for axes in ranks.by_group(ranks.sizes)[::-1]:
        shared = [axis for axis in axes if all(axis in array.splits for array in arrays)]
        if any(len({term[array.splits[a]] for term, array in zip(terms, arrays, strict=True)}) > 1 for a in shared):
            known = (n for n, array in enumerate(arrays) if ranks.is_known(ALL_GATHER, array.parts, shared))
            loser = next(known, 0 if arrays[1].is_weight else 1)
            dims = {arrays[loser].splits[axis] for axis in shared}
            is_stream = arrays[1 - loser].is_weight and 1 in dims and arrays[loser].has_token_rows
            is_saved = ranks.groups[shared[0]] == "tp" and not is_stream
            arrays[loser] = arrays[loser].gathered([a for a in axes if arrays[loser].splits.get(a) in dims], is_saved)
    arrays, owners, masked = with_rows_of_one_owner(arrays, terms, out)
    terms_along = _terms(ranks, np.multiply, arrays, operands) | masked
    divided = {axis: term[dim] for term, array in zip(terms, arrays, strict=True) for axis, dim in array.splits.items()}
    parts = []
    for rank in range(len(ranks.places)):
        own = [
            array.local(rank, {axis: term.index(letter) for axis, letter in divided.items() if letter in term})
            for array, term in zip(arrays, terms, strict=True)
        ]
        parts.append(np.einsum(spec, *own, order="C"))
    sizes: dict[str, int] = {}
    for term, array in zip(terms, arrays, strict=True):
        sizes |= dict(zip(term, array.shape, strict=True))
    splits = {axis: out.index(letter) for axis, letter in divided.items() if letter in out}
    summed = {axis for axis, letter in divided.items() if letter not in out}
    shape = [sizes[letter] for letter in out]
    owners = {axis: np.broadcast_to(owner, shape) for axis, owner in owners.items()}
    found = ShardedArray(ranks, parts, shape, splits, terms_along | summed, is_weight, owners)
    found.is_moved = any(received)
    return found


def _received(array: ShardedArray, operands: list[ShardedArray]) -> list[str]:
    """Return the context-parallel axes along which the ranks use the tokens of all ranks, such as keys in a ring."""
    ranks = array.ranks
    if array.gather_again and ranks.phase != FORWARD:
        array.gather_again()
    axes = [axis for axis in array.splits if ranks.groups[axis] == "cp"]
    partial = frozenset[str]().union(*(each.partial for each in operands if each is not array))
    is_needed = ranks.is_known(ALL_GATHER, array.parts, axes) if ranks.phase == FORWARD else bool(partial & {*axes})
    return axes if is_needed and not array.is_weight else []


def _along(function: Any, is_linear: bool = True) -> Callable[..., ShardedArray]:
    """Return a function along one axis, which is gathered if it is divided."""

    def apply(array: ShardedArray, *more: Any, axis: int | None = None, **options: Any) -> ShardedArray:
        if axis is None:
            more, axis = more[:-1], more[-1]
        whole = array.gathered([name for name, dim in array.splits.items() if dim == axis % array.ndim])
        if not is_linear:
            whole.reduce(whole.partial)
        found = whole.moved(lambda part: function(part, *more, axis=axis, **options))
        found.is_moved = False
        return found

    return apply


def _total(function: Any) -> Callable[..., ShardedArray]:
    """Return a sum or mean over dimensions. Over divided dimensions, the result is a partial sum."""

    def apply(array: ShardedArray, axis: Any = None, keepdims: Any = False) -> ShardedArray:
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

    return apply


def _with_all_tokens(total: ShardedArray) -> ShardedArray:
    """Return a sum over the experts of a token on all ranks that have the same tokens."""
    for axis in total.ranks.share_of_tokens:
        if axis in total.owners and np.all(total.owners[axis] < total.ranks.sizes[axis]):  # not on the experts' ranks
            total = with_all_rows(total.reduce(total.partial), axis)
    return total


def _largest(array: ShardedArray, axis: Any = None, keepdims: Any = False) -> ShardedArray:
    array.reduce(array.partial)
    dims, ranks = _dims(axis, array.ndim), array.ranks
    found = {name for name, dim in array.splits.items() if dim in dims}
    kept = {name: dim for name, dim in array.splits.items() if dim not in dims}
    parts = [np.max(part, axis=tuple(dims), keepdims=True) for part in array.parts]
    for axes in filter(None, ranks.by_group(found)):
        parts = ranks.exchange(ALL_REDUCE, parts, axes, lambda each: np.maximum.reduce(each))
    shape = [1 if dim in dims else size for dim, size in enumerate(array.shape)]
    whole = ShardedArray(ranks, parts, shape, kept)
    return whole if keepdims else whole.reshape([size for dim, size in enumerate(shape) if dim not in dims])


def _joined(function: Any) -> Callable[..., ShardedArray]:
    """Return a function that joins arrays along an axis."""

    def apply(arrays: Sequence[Any], axis: int = 0) -> ShardedArray:
        ranks = next(each.ranks for each in arrays if isinstance(each, ShardedArray))
        given = [each if isinstance(each, ShardedArray) else divide(each, ranks, {}, True) for each in arrays]
        dim = axis % (given[0].ndim + (function is np.stack))
        is_weight = all(each.is_weight for each in given)
        spread = {name for each in given for name in each.owners}
        divided = [each for each in given if spread & each.splits.keys() and dim not in each.splits.values()]
        if divided and function is np.concatenate:
            given = [_as_divided(each, divided[0], spread) for each in given]
        spread = {name for each in given for name in each.owners}
        given = [each.owned(spread) for each in given]
        owners = {name: function([each.owner_of(name) for each in given], axis=axis) for name in spread}
        if ranks.phase == FORWARD and dim > 0 and not all(isinstance(e, ShardedArray) and e.partial for e in arrays):
            # the result is larger than the partial sums, which a convolution also reads in parts of the padded rows
            given = [each.reduce(each.partial) for each in given]
        summed = frozenset[str]().union(*(each.partial for each in given))
        given = [each.as_sum(summed) if summed else each for each in given]
        if function is np.concatenate:
            along = [[name for name, at in each.splits.items() if at == dim] for each in given]
            given = [_gathered(each, names) for each, names in zip(given, along, strict=True)]
        splits: Splits = {}
        for each in given:
            splits |= {name: at for name, at in each.splits.items() if splits.get(name, at) == at}
        given = [each.gather(name for name, at in each.splits.items() if splits[name] != at) for each in given]
        parts = [function([each.local(rank, splits) for each in given], axis=axis) for rank in range(len(ranks.places))]
        shape = list(function([np.broadcast_to(0.0, each.shape) for each in given], axis=axis).shape)
        moved = {name: at + (function is np.stack and at >= dim) for name, at in splits.items()}
        found = ShardedArray(ranks, parts, shape, moved, summed, is_weight, owners)
        found.is_moved = sum(isinstance(each, ShardedArray) for each in arrays) == 1  # the others are constants
        return found

    return apply


def _as_divided(array: ShardedArray, other: ShardedArray, axes: Iterable[str]) -> ShardedArray:
    """Return an array with its rows on the ranks that have the same rows of another array."""
    moved = [axis for axis in axes if axis in array.owners and axis in other.splits]
    return routed(array, {axis: np.max(other.owner_of(axis), axis=-1, keepdims=True) for axis in moved}).settled()


def _broadcast(array: Any, shape: Sequence[int]) -> Any:
    return array + np.zeros(shape)


def _repeated(array: ShardedArray, times: int, axis: int) -> ShardedArray:
    if array.ranks.phase == FORWARD:
        _reduce_before_repetition([array], array.size * times)
    return array.moved(lambda part: np.repeat(part, times, axis=axis))


def _split(array: ShardedArray, count: int, axis: int = 0) -> list[ShardedArray]:
    size, before = array.shape[axis] // count, (slice(None),) * (axis % array.ndim)
    return [array[(*before, slice(number * size, (number + 1) * size))] for number in range(count)]


def _zeros_like(array: ShardedArray, shape: Sequence[int]) -> ShardedArray:
    return divide(np.zeros(shape), array.ranks, {})


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.einsum: einsum,
    np.sum: _total(np.sum),
    np.mean: _total(np.mean),
    np.max: _largest,
    np.concatenate: _joined(np.concatenate),
    np.stack: _joined(np.stack),
    np.broadcast_to: _broadcast,
    np.split: _split,
    np.zeros_like: _zeros_like,
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
    **{function: _along(function) for function in (np.cumsum, np.flip, np.roll, np.fft.fft, np.fft.ifft)},
    **{function: _along(function, is_linear=False) for function in (np.sort, np.argsort)},
}


def _dims(axis: Any, ndim: int) -> list[int]:
    """Return the dimensions that an ``axis`` argument names."""
    axes = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return [dim % ndim for dim in axes]
