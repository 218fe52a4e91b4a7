"""Arrays that are divided over simulated ranks.

Each rank stores a local array and computes with it alone. A contraction over a divided dimension leaves a partial sum
on each rank. The ranks exchange data only where a computation needs values that a rank does not have, and as late as
possible. No declaration is read here, so the exchanged elements can be compared with the declared collectives.

>>> from llmcalc.verification import sharded_functions  # registers the functions
>>> ranks = Ranks({"tp": ("tp", 2)})
>>> x, w = divide(np.ones((1, 4)), ranks, {"tp": 1}), divide(np.ones((4, 3)), ranks, {"tp": 0})
>>> y = np.einsum("bf,fd->bd", x, w)  # a partial sum on each rank
>>> np.allclose(np.exp(y).whole(), np.exp(4.0)), dict(ranks.exchanged)
(True, {('all-reduce', 'tp', 2, 'forward'): Fraction(3, 1)})
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..calc.collectives import ALL_GATHER, ALL_REDUCE, REDUCE_SCATTER
from ..twins.weights import Array
from .ranks import Parts, Ranks
from .shape_maps import factors, images

Splits = dict[str, int]  # divided dimension by mesh axis
EVERY = -1  # owner of elements that all ranks have
OPERATIONS: dict[Any, Callable[..., Any]] = {}  # of sharded arrays, by the function or method that they implement


def divide(array: Any, ranks: Ranks, splits: Splits, is_weight: bool = False) -> ShardedArray:
    """Divide an array over ranks. Dimensions that are not in ``splits`` are whole on every rank."""
    whole = ShardedArray(ranks, [np.asarray(array)] * len(ranks.places), np.shape(array), {}, is_weight=is_weight)
    return whole.narrowed(splits)


def as_sharded(operands: Iterable[Any]) -> list[ShardedArray]:
    """Return the operands of a function. At least one is divided, and the others are constants on every rank."""
    given = list(operands)
    ranks = next(each.ranks for each in given if isinstance(each, ShardedArray))
    return [each if isinstance(each, ShardedArray) else divide(each, ranks, {}, True) for each in given]


class ShardedArray(NDArrayOperatorsMixin):
    """An array that is divided over ranks and can be used like a NumPy array.

    Attributes:
        parts: local array of each rank.
        shape: shape of the whole array.
        splits: divided dimension by mesh axis.
        partial: mesh axes along which the local arrays are terms of a sum.
        is_weight: whether the array depends only on weights.
        is_moved: whether all elements are elements of another array, or a whole product of activations. The
            terms of its gradient are reduced where these elements or factors come from.
        owners: rank along a mesh axis that has each element, or ``EVERY``, if the elements are not divided evenly. The
            local arrays have all elements, which are NaN on the other ranks. Numbers from the number of ranks on denote
            the same ranks as the places of experts.
        copied: dimensions along which all elements are equal.
        gather_again: exchange that the backward pass repeats because only the shards of the tokens are saved.
    """

    def __init__(
        self,
        ranks: Ranks,
        parts: Parts,
        shape: Sequence[int],
        splits: Splits,
        partial: Iterable[str] = (),
        is_weight: bool = False,
        owners: dict[str, Array] | None = None,
    ) -> None:
        self.owners = owners or {}
        self.copied: frozenset[int] = frozenset()
        self.gather_again: Callable[[], ShardedArray] | None = None
        self.sent: set[str] = set()  # exchanges after which other owners have the array
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
        if self.owners:
            return self._on_every_rank().settled().whole()
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

    def with_inner(self, axes: Iterable[str]) -> set[str]:
        """Return the given axes that divide the array, and those that divide the shards of these axes further."""
        names = list(self.ranks.sizes)
        return {
            inner
            for axis in set(axes) & self.splits.keys()
            for inner in names[names.index(axis) :]
            if self.splits.get(inner) == self.splits[axis]
        }

    def with_parts(self, parts: Parts, shape: Sequence[int], splits: Splits) -> ShardedArray:
        """Return an array with other parts and the same partial sums."""
        return ShardedArray(self.ranks, parts, shape, splits, self.partial, self.is_weight, self.owners)

    # ------------------------------------------------------------------ placement

    def narrowed(self, splits: Splits) -> ShardedArray:
        """Return an array in which each rank keeps only its share of the dimensions in ``splits``."""
        both = {**self.splits, **splits}
        return self.with_parts([self.local(rank, both) for rank in range(len(self.parts))], self.shape, both)

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
            is_divided = any(dim == 1 for axis, dim in self.splits.items() if self.ranks.groups[axis] == "tp")
            if self.has_token_rows and not is_divided and self.ranks.groups[some[0]] == "tp":
                self.scatter(dict.fromkeys(some, 1))
            else:
                self.parts = self.ranks.exchange(ALL_REDUCE, self.parts, some, sum, n_owners=self.n_owners())
                self.partial -= set(some)
        return self

    def scatter(self, splits: Splits) -> ShardedArray:
        """Replace partial sums by a share of their sum, in place."""
        axes = list(splits)
        if not axes:
            return self
        summed = self.ranks.exchange(REDUCE_SCATTER, self.parts, axes, sum, n_owners=self.n_owners())
        found = ShardedArray(self.ranks, summed, self.shape, dict(self.splits)).narrowed(splits)
        self.parts, self.splits, self.partial = found.parts, found.splits, self.partial - set(axes)
        return self

    def gathered(self, axes: Iterable[str], is_saved: bool = True) -> ShardedArray:
        """Return an array with whole dimensions in place of the ones that the given axes divide."""
        first = tuple(slice(1) if dim in self.copied else slice(None) for dim in range(self.ndim))
        parts, splits = [part[first] for part in self.parts], dict(self.splits)
        for some in self.ranks.by_group(set(axes) & splits.keys())[::-1]:
            for dim in dict.fromkeys(self.splits[axis] for axis in some):
                along = [axis for axis in some if self.splits[axis] == dim]
                parts = self.ranks.exchange(ALL_GATHER, parts, along, partial(np.concatenate, axis=dim), is_saved)
                splits = {axis: at for axis, at in splits.items() if axis not in along}
        if self.copied:
            times = [self.shape[dim] if dim in self.copied else 1 for dim in range(self.ndim)]
            parts = [np.tile(part, times) for part in parts]
        return self.with_parts(parts, self.shape, splits)

    def gather(self, axes: Iterable[str]) -> ShardedArray:
        """Replace dimensions that the given axes divide by whole ones, in place."""
        if axes := list(axes):
            whole = self.gathered(axes)
            self.parts, self.splits = whole.parts, whole.splits
        return self

    def as_terms(self, axes: Iterable[str]) -> ShardedArray:
        """Return the array as a sum of zero-padded shares, which needs no exchange."""
        axes = set(axes)
        if owned := axes & self.owners.keys():
            parts = [np.where(self.is_own(rank, owned), part, 0.0) for rank, part in enumerate(self.parts)]
            kept_owners = {axis: owner for axis, owner in self.owners.items() if axis not in owned}
            found = ShardedArray(self.ranks, parts, self.shape, self.splits, self.partial | owned, owners=kept_owners)
            return found.as_terms(axes - owned)
        wanted = {axis: dim for axis, dim in self.splits.items() if axis in axes}
        if not wanted:
            return self
        kept = {axis: dim for axis, dim in self.splits.items() if axis not in wanted}
        shape = [n // prod(self.ranks.sizes[a] for a in kept if kept[a] == dim) for dim, n in enumerate(self.shape)]
        parts = []
        for rank, part in enumerate(self.parts):
            padded = np.zeros(shape, part.dtype)
            padded[self.ranks.shares(rank, wanted, shape)] = part
            parts.append(padded)
        return ShardedArray(self.ranks, parts, self.shape, kept, self.partial | wanted.keys(), owners=self.owners)

    def is_own(self, rank: int, axes: Iterable[str]) -> Array:
        """Return which elements a rank adds to a sum over the given mesh axes."""
        found = np.ones(self.parts[0].shape, bool)
        for axis in axes:
            owner, at = self.local_owner(rank, axis, self.owners[axis]), self.ranks.places[rank][axis]
            found &= (owner == at) | ((owner == EVERY) & (at == 0))
        return found

    def local_owner(self, rank: int, axis: str, owner: Array) -> Array:
        """Return the owners of the elements of a local array."""
        local = np.broadcast_to(owner, self.shape)[self.ranks.shares(rank, self.splits, self.shape)]
        return np.where(local == EVERY, EVERY, local % self.ranks.sizes[axis])

    def owner_of(self, axis: str) -> Array:
        """Return the rank along a mesh axis that has each element."""
        if axis in self.owners:
            return self.owners[axis]
        found = np.full(self.shape, EVERY)
        if axis in self.splits:
            dim = self.splits[axis]
            axes = [name for name in self.ranks.sizes if self.splits.get(name) == dim]
            n_inner = prod(self.ranks.sizes[name] for name in axes[axes.index(axis) + 1 :])
            shard = np.arange(self.shape[dim]) * prod(self.ranks.sizes[name] for name in axes) // self.shape[dim]
            rows = shard // n_inner % self.ranks.sizes[axis]
            found = found * 0 + rows.reshape([-1 if at == dim else 1 for at in range(self.ndim)])
        return found

    def owned(self, axes: Iterable[str]) -> ShardedArray:
        """Return the array with owners in place of even divisions along the given mesh axes."""
        found, axes = self, self.with_inner(axes)
        for axis, _ in self._minor_first({axis: self.splits[axis] for axis in axes}):
            owner, padded = found.owner_of(axis), found.as_terms([axis])
            padded.partial -= {axis}
            found = padded.with_owners(axis, owner, padded.parts)
        return found

    def with_owners(self, axis: str, owner: Array, parts: Parts) -> ShardedArray:
        """Return an array in which only the owners along a mesh axis keep the elements."""
        kept = []
        for rank, part in enumerate(parts):
            local = self.local_owner(rank, axis, owner)
            kept.append(np.where((local == self.ranks.places[rank][axis]) | (local == EVERY), part, np.nan))
        owners = {**self.owners, axis: np.broadcast_to(owner, self.shape)}
        return ShardedArray(self.ranks, kept, self.shape, self.splits, self.partial, self.is_weight, owners)

    def from_owners(self, axis: str) -> Parts:
        """Return the local arrays with the elements of all owners along a mesh axis."""
        found = []
        for rank, part in enumerate(self.parts):
            for at, peer in enumerate(self.ranks.peers(rank, [axis])):
                part = np.where(self.local_owner(rank, axis, self.owners[axis]) == at, self.parts[peer], part)
            found.append(part)
        return found

    def _on_every_rank(self) -> ShardedArray:
        """Return the array with all elements on every rank, without counting an exchange."""
        found = self
        for axis in self.owners:
            found = found.with_owners(axis, np.array(EVERY), found.from_owners(axis))
        return found

    def n_owners(self, axes: Iterable[str] = ()) -> int:
        """Return the number of ranks that share the elements of a local array, equally on average."""
        owned = {axis for axis, owner in self.owners.items() if np.any(owner != EVERY)}
        return prod(self.ranks.sizes[axis] for axis in owned | {*axes})

    def settled(self) -> ShardedArray:
        """Return the array with even divisions in place of owners, where a dimension is divided evenly."""
        for axis in (axis for axis in self.ranks.sizes if axis in self.owners):
            owner = self.owners[axis]
            owners = {name: each for name, each in self.owners.items() if name != axis}
            whole = ShardedArray(self.ranks, self.parts, self.shape, self.splits, self.partial, self.is_weight, owners)
            if np.all(owner == EVERY):
                return whole.settled()
            for dim, size in enumerate(self.shape):
                along = [name for name, at in self.splits.items() if at == dim] + [axis]
                is_inner = [name for name in self.ranks.sizes if name in along][-1] == axis
                if not is_inner or size % prod(self.ranks.sizes[name] for name in along):
                    continue
                divided = whole.narrowed({axis: dim})
                if np.all((owner == divided.owner_of(axis)) | (owner == EVERY)):
                    return divided.settled()
        return self

    def settle(self) -> ShardedArray:
        """Replace owners by even divisions, in place, where a dimension is divided evenly."""
        found = self.settled()
        self.parts, self.splits, self.owners = found.parts, found.splits, found.owners
        return self

    def as_sum(self, axes: Iterable[str]) -> ShardedArray:
        """Return the array as a sum over the ranks along the given axes. The first rank of each axis has all terms."""
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
        shape, to = images(function, self.shape)
        splits = {axis: to[dim] for axis, dim in self.splits.items()}
        found = self.with_parts([function(part) for part in self.parts], shape, splits)
        found.owners = {axis: function(owner) for axis, owner in self.owners.items()}
        found.is_moved = True
        return found

    def reshape(self, *shape: Any) -> ShardedArray:
        """Return the array in another shape. A divided dimension must remain contiguous on each rank."""
        wanted = list(shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)
        if -1 in wanted:
            at = wanted.index(-1)
            wanted[at] = self.size // prod(wanted[:at] + wanted[at + 1 :])
        splits: Splits = {}
        for old, new in factors(self.shape, wanted):
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
                    is_sent = self.ranks.experts and not self.is_weight  # rows that are sent to experts have owners
                    return (self.owned(axes) if is_sent else self.gathered(axes)).reshape(*wanted)
                left[old[at]] //= size
                remaining //= size
                splits[axis] = new[to]
        local = [n // prod(self.ranks.sizes[a] for a in splits if splits[a] == at) for at, n in enumerate(wanted)]
        found = self.with_parts([part.reshape(local) for part in self.parts], wanted, splits)
        found.owners = {axis: owner.reshape(wanted) for axis, owner in self.owners.items()}
        found.is_moved = True
        return found

    def astype(self, dtype: Any) -> ShardedArray:
        """Return the array converted to another data type."""
        return self.moved(lambda part: part.astype(dtype))

    def __getitem__(self, index: Any) -> ShardedArray:
        found: ShardedArray = OPERATIONS[operator.getitem](self, index)
        return found

    # ------------------------------------------------------------------ NumPy functions

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if ufunc is np.conj and self.dtype.kind == "f":
            return self
        if method == "at" and ufunc is np.add:
            return OPERATIONS[np.ufunc.at](*inputs)
        if method != "__call__" or options:
            raise NotImplementedError(f"sharded arrays do not implement {ufunc.__name__}.{method}")
        return OPERATIONS[np.ufunc](ufunc, *inputs)

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        if function not in OPERATIONS:
            raise NotImplementedError(f"sharded arrays do not implement {function.__name__}")
        return OPERATIONS[function](*inputs, **options)
