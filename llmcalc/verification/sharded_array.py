"""Arrays that are divided over simulated ranks.

Each rank stores a local array and computes with it alone. A contraction over a divided dimension leaves a partial sum
on each rank. The ranks exchange data only where a computation needs values that a rank does not have, and as late as
possible. No declaration is read here, so the exchanged elements can be compared with the declared collectives.

>>> ranks = Ranks({"tp": ("tp", 2)})
>>> x, w = divide(np.ones((1, 4)), ranks, {"tp": 1}), divide(np.ones((4, 3)), ranks, {"tp": 0})
>>> y = np.einsum("bf,fd->bd", x, w)  # a partial sum on each rank
>>> np.allclose(np.exp(y).whole(), np.exp(4.0)), dict(ranks.exchanged)
(True, {('all-reduce', 'tp', 2, 'forward'): 3})
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..calc.collectives import ALL_GATHER, ALL_REDUCE, FORWARD, REDUCE_SCATTER
from ..twins.weights import Array
from .ranks import Parts, Ranks

Splits = dict[str, int]  # divided dimension by mesh axis


def divide(array: Any, ranks: Ranks, splits: Splits, is_weight: bool = False) -> ShardedArray:
    """Divide an array over ranks. Dimensions that are not in ``splits`` are whole on every rank."""
    whole = ShardedArray(ranks, [np.asarray(array)] * len(ranks.places), np.shape(array), {}, is_weight=is_weight)
    return whole.narrowed(splits)


class ShardedArray(NDArrayOperatorsMixin):
    """An array that is divided over ranks and can be used like a NumPy array.

    Attributes:
        parts: local array of each rank.
        shape: shape of the whole array.
        splits: divided dimension by mesh axis.
        partial: mesh axes along which the local arrays are terms of a sum.
        is_weight: whether the array depends only on weights.
        is_moved: whether all elements are elements of another array.
    """

    def __init__(
        self,
        ranks: Ranks,
        parts: Parts,
        shape: Sequence[int],
        splits: Splits,
        partial: Iterable[str] = (),
        is_weight: bool = False,
    ) -> None:
        self.ranks, self.parts, self.shape, self.splits = ranks, parts, tuple(shape), splits
        self.partial, self.is_weight, self.is_moved = frozenset(partial), is_weight, False

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements of the whole array."""
        return prod(self.shape)

    @property
    def dtype(self) -> Any:
        """Data type of the elements."""
        return self.parts[0].dtype

    @property
    def has_token_rows(self) -> bool:
        """Whether sequence parallelism can divide the array."""
        return self.ndim > 2 and self.shape[1] == self.ranks.tokens and self.shape[-1] > 1

    def __len__(self) -> int:
        return self.shape[0]

    def whole(self) -> Array:
        """Return the whole array without counting an exchange.

        Raises:
            AssertionError: if ranks that should have equal local arrays have different ones.
        """
        ranks, parts = self.ranks, self.parts
        for axis in self.partial:
            parts = [sum(parts[peer] for peer in ranks.peers(rank, [axis])) for rank in range(len(parts))]
        for axis, dim in self._minor_first(self.splits):
            parts = [np.concatenate([parts[p] for p in ranks.peers(r, [axis])], axis=dim) for r in range(len(parts))]
        for part in parts[1:]:
            np.testing.assert_allclose(part, parts[0], rtol=1e-9, atol=1e-9)
        return parts[0]

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        self.reduce(self.partial)
        return np.asarray(self.whole(), dtype)

    def _minor_first(self, splits: Splits) -> list[tuple[str, int]]:
        return [(axis, splits[axis]) for axis in reversed(self.ranks.sizes) if axis in splits]

    def with_parts(self, parts: Parts, shape: Sequence[int], splits: Splits, is_weight: bool = False) -> ShardedArray:
        """Return an array with other parts and the same partial sums."""
        return ShardedArray(self.ranks, parts, shape, splits, self.partial, is_weight and self.is_weight)

    # ------------------------------------------------------------------ placement

    def narrowed(self, splits: Splits) -> ShardedArray:
        """Return an array in which each rank keeps only its share of the dimensions in ``splits``."""
        both = {**self.splits, **splits}
        parts = [self.local(rank, both) for rank in range(len(self.parts))]
        return self.with_parts(parts, self.shape, both, True)

    def local(self, rank: int, splits: Splits) -> Array:
        """Return the local array of a rank, divided further along the dimensions in ``splits``."""
        part, cut = self.parts[rank], [slice(None)] * self.ndim
        for dim in {dim for axis, dim in splits.items() if axis not in self.splits}:
            axes = [axis for axis in splits if splits[axis] == dim]
            had = [axis for axis in axes if axis in self.splits]
            wanted, own = (self.ranks.share(rank, some, self.shape[dim]) for some in (axes, had))
            if not own.start <= wanted.start < wanted.stop <= own.stop:
                raise NotImplementedError(f"axis {had} of the mesh is not the outer one of {axes}")
            cut[dim] = slice(wanted.start - own.start, wanted.stop - own.start)
        return part[tuple(cut)]

    def reduce(self, axes: Iterable[str]) -> ShardedArray:
        """Replace partial sums by their sum, in place. A token dimension is scattered with sequence parallelism."""
        for some in self.ranks.by_group(self.partial & set(axes)):
            if not some:
                continue
            is_divided = any(dim == 1 for axis, dim in self.splits.items() if self.ranks.groups[axis] == "tp")
            if self.has_token_rows and not is_divided and self.ranks.groups[some[0]] == "tp":
                self.scatter(dict.fromkeys(some, 1))
            else:
                self.parts = self.ranks.exchange(ALL_REDUCE, self.parts, some, lambda terms: sum(terms))
                self.partial -= set(some)
        return self

    def scatter(self, splits: Splits) -> ShardedArray:
        """Replace partial sums by a share of their sum, in place."""
        axes = list(splits)
        summed = self.ranks.exchange(REDUCE_SCATTER, self.parts, axes, lambda terms: sum(terms))
        found = ShardedArray(self.ranks, summed, self.shape, dict(self.splits)).narrowed(splits)
        self.parts, self.splits, self.partial = found.parts, found.splits, self.partial - set(axes)
        return self

    def gathered(self, axes: Iterable[str], is_saved: bool = True) -> ShardedArray:
        """Return an array with whole dimensions in place of the ones that the given axes divide."""
        parts, splits = self.parts, dict(self.splits)
        for some in self.ranks.by_group(set(axes) & splits.keys())[::-1]:
            for dim in dict.fromkeys(self.splits[axis] for axis in some):
                along = [axis for axis in some if self.splits[axis] == dim]
                joined = partial(np.concatenate, axis=dim)
                parts = self.ranks.exchange(ALL_GATHER, parts, along, joined, is_saved)
                splits = {axis: at for axis, at in splits.items() if axis not in along}
        return self.with_parts(parts, self.shape, splits, True)

    def as_terms(self, axes: Iterable[str]) -> ShardedArray:
        """Return the array as a sum of zero-padded shares, which needs no exchange."""
        wanted = [axis for axis in axes if axis in self.splits]
        kept = {axis: dim for axis, dim in self.splits.items() if axis not in wanted}
        dims = {self.splits[axis] for axis in wanted}
        shape = [n // prod(self.ranks.sizes[a] for a in kept if kept[a] == dim) for dim, n in enumerate(self.shape)]
        parts = []
        for rank, part in enumerate(self.parts):
            padded = np.zeros(shape, part.dtype)
            cut = [slice(None)] * self.ndim
            for dim in dims:
                cut[dim] = self.ranks.share(rank, [axis for axis in wanted if self.splits[axis] == dim], shape[dim])
            padded[tuple(cut)] = part
            parts.append(padded)
        return ShardedArray(self.ranks, parts, self.shape, kept, self.partial | set(wanted))

    def as_sum(self, axes: Iterable[str]) -> ShardedArray:
        """Return the array as a sum over the ranks along the given axes, of which the first ones have all terms."""
        found = self.as_terms(set(axes) - self.partial)
        zero = set(axes) - found.partial
        if not zero:
            return found
        places = zip(found.parts, self.ranks.places, strict=True)
        parts = [np.zeros_like(part) if any(place[axis] for axis in zero) else part for part, place in places]
        return ShardedArray(self.ranks, parts, self.shape, found.splits, found.partial | zero)

    # ------------------------------------------------------------------ shapes

    def moved(self, function: Callable[[Array], Array]) -> ShardedArray:
        """Apply a function that copies or moves elements and treats divided dimensions element by element."""
        shape, to = _images(function, self.shape)
        splits = {axis: to[dim] for axis, dim in self.splits.items()}
        found = self.with_parts([function(part) for part in self.parts], shape, splits, True)
        found.is_moved = True
        return found

    def reshape(self, *shape: Any) -> ShardedArray:
        """Return the array in another shape. A divided dimension must remain contiguous on each rank."""
        wanted = list(shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)
        if -1 in wanted:
            at = wanted.index(-1)
            wanted[at] = self.size // prod(wanted[:at] + wanted[at + 1 :])
        splits: Splits = {}
        for old, new in _factors(self.shape, wanted):
            axes = [axis for dim in old for axis in self.ranks.sizes if self.splits.get(axis) == dim]
            left = {dim: self.shape[dim] for dim in old}
            at, to = 0, 0
            remaining = wanted[new[0]] if new else 1
            for axis in axes:
                size = self.ranks.sizes[axis]
                while left[old[at]] == 1 and at < len(old) - 1:
                    at += 1
                while remaining == 1 and to < len(new) - 1:
                    to += 1
                    remaining = wanted[new[to]]
                if self.splits[axis] != old[at] or remaining % size:
                    return self.gathered(axes).reshape(*wanted)
                left[old[at]] //= size
                remaining //= size
                splits[axis] = new[to]
        parts = []
        for part in self.parts:
            local = [n // prod(self.ranks.sizes[a] for a in splits if splits[a] == at) for at, n in enumerate(wanted)]
            parts.append(part.reshape(local))
        found = self.with_parts(parts, wanted, splits, True)
        found.is_moved = True
        return found

    def astype(self, dtype: Any) -> ShardedArray:
        """Return the array converted to another data type."""
        return self.moved(lambda part: part.astype(dtype))

    def __getitem__(self, index: Any) -> ShardedArray:
        index = index if isinstance(index, tuple) else (index,)
        dims, is_gather = _indexed(index, self.ndim)
        shape = np.broadcast_to(0.0, self.shape)[index].shape
        if self.ranks.phase == FORWARD and prod(shape) < self.size:
            self.reduce(self.partial)
        looked_up = {axis for axis, dim in self.splits.items() if isinstance(dims.get(dim), np.ndarray)}
        looked_up -= {axis for axis in looked_up if self.shape[self.splits[axis]] == self.ranks.tokens}
        cut = {axis for axis, dim in self.splits.items() if dim in dims} - looked_up
        source = self.gathered(cut).as_terms(looked_up)  # each rank looks up its own entries
        found = source.moved(lambda part: part[index])
        found.is_weight = self.is_weight and not is_gather
        return found

    # ------------------------------------------------------------------ NumPy functions

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        from . import sharded_functions  # imports this module

        if method == "at" and ufunc is np.add:
            return inputs[0].add_at(*inputs[1:])
        if method != "__call__" or options:
            raise NotImplementedError(f"sharded arrays do not implement {ufunc.__name__}.{method}")
        return sharded_functions.elementwise(self.ranks, ufunc, inputs)

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        from . import sharded_functions

        return sharded_functions.call(self.ranks, function, inputs, options)

    def add_at(self, index: Any, values: Any) -> None:
        """Add values at an index, in place. The array is divided as the values are, apart from indexed dimensions."""
        index = index if isinstance(index, tuple) else (index,)
        dims, _ = _indexed(index, self.ndim)
        _, to = _images(lambda part: part[index], self.shape)
        dim_of = {at: dim for dim, at in to.items() if dim not in dims}
        kept = {axis: dim_of[at] for axis, at in values.splits.items() if at in dim_of}
        whole = divide(np.zeros(self.shape), self.ranks, kept)
        values = values.as_terms(values.splits.keys() - kept.keys())
        parts = [part.copy() for part in whole.parts]
        for part, term in zip(parts, values.parts, strict=True):
            np.add.at(part, index, term)
        self.parts, self.splits, self.partial = parts, kept, values.partial


def _images(function: Callable[[Array], Array], shape: Sequence[int]) -> tuple[Sequence[int], dict[int, int]]:
    """Return the shape of a function's result, and the dimension of the result that follows each dimension."""
    found: Sequence[int] = function(np.broadcast_to(0.0, shape)).shape
    to: dict[int, int] = {}
    for dim in range(len(shape)):
        longer = [size * (1 + (at == dim)) for at, size in enumerate(shape)]
        try:
            sizes = function(np.broadcast_to(0.0, longer)).shape
        except (IndexError, ValueError):  # the function fixes the length of this dimension
            continue
        changed = [at for at, size in enumerate(found) if sizes[at] != size]
        if changed:
            to[dim] = changed[0]
    return found, to


def _indexed(index: tuple[Any, ...], ndim: int) -> tuple[dict[int, Any], bool]:
    """Return the indices of the dimensions that an index changes, and whether each token has its own index."""
    n_used = sum(each is not None and each is not Ellipsis for each in index)
    found: dict[int, Any] = {}
    dim, is_gather = 0, False
    for each in index:
        if each is Ellipsis:
            dim += ndim - n_used
        elif each is not None:
            if not (isinstance(each, slice) and each == slice(None)):
                found[dim] = each
            is_gather |= np.ndim(each) > 1  # by token
            dim += 1
    return found, is_gather


def _factors(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Return the smallest groups of consecutive dimensions of two shapes that have the same number of elements."""
    found, first, second = [], 0, 0
    while first < len(old) or second < len(new):
        one, two = [first] if first < len(old) else [], [second] if second < len(new) else []
        first, second = first + len(one), second + len(two)
        while (sizes := (prod(old[dim] for dim in one), prod(new[dim] for dim in two)))[0] != sizes[1]:
            if sizes[0] < sizes[1]:
                one.append(first)
                first += 1
            else:
                two.append(second)
                second += 1
        found.append((one, two))
    return found
