"""Rows that only some ranks have, such as the tokens of an expert, and the exchanges that give them to other ranks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from ..calc.collectives import ALL_GATHER, ALL_TO_ALL, REDUCE_SCATTER, SEND
from ..twins.weights import Array
from .ranks import Ranks
from .sharded_array import EVERY, ShardedArray

Owners = dict[str, Array]  # rank that has each element, by mesh axis


def routed(array: ShardedArray, owners: Owners) -> ShardedArray:
    """Return the array with other owners along mesh axes. The ranks send the elements to their owners."""
    found = array.owned(owners)
    had = {axis: found.owner_of(axis) for axis in owners}
    moved = {axis: each for axis, each in owners.items() if np.any((had[axis] != each) & (had[axis] != EVERY))}
    if moved.keys() - array.sent:
        _count_sent(found, {axis: np.broadcast_to(owner, array.shape) for axis, owner in moved.items()})
        array.sent |= moved.keys()
    for axis, owner in owners.items():
        found = found.with_owners(axis, owner, found.from_owners(axis) if axis in moved else found.parts)
    found.sent = array.sent
    return found


def with_all_rows(array: ShardedArray, axis: str) -> ShardedArray:
    """Return the array with the elements of all owners along a mesh axis, which an all-gather sends to each rank."""
    found, ranks, key = array.owned([axis]), array.ranks, f"{axis} {array.ranks.phase}"
    if key not in array.sent:
        array.sent.add(key)
        ranks.count(ALL_GATHER, [axis], Fraction(found.parts[0].size * ranks.sizes[axis], found.n_owners([axis])))
    found.parts = found.from_owners(axis)
    del found.owners[axis]
    return found


def scattered(array: ShardedArray, axis: str, owner: Array) -> ShardedArray:
    """Sum terms along a mesh axis. A reduce-scatter sends each element of the sum to its owner."""
    ranks = array.ranks
    ranks.count(REDUCE_SCATTER, [axis], Fraction(array.parts[0].size, array.n_owners()))
    parts = [sum(array.parts[peer] for peer in ranks.peers(rank, [axis])) for rank in range(len(array.parts))]
    found = ShardedArray(ranks, parts, array.shape, array.splits, array.partial - {axis}, array.is_weight, array.owners)
    return found.with_owners(axis, owner, parts)


def with_rows_of_one_owner(
    arrays: list[ShardedArray], terms: Sequence[str], out: str
) -> tuple[list[ShardedArray], dict[str, Array], frozenset[str]]:
    """Move the rows of an operand to the rank that has the other operand, such as the weights of an expert.

    Return the operands, the owners of the result, and the mesh axes along which the result is a partial sum.
    """
    gathered = _gathered_rows(arrays, terms)
    axes = dict.fromkeys(axis for array in arrays for axis in array.owners if axis not in gathered)
    arrays = [array.owned(axes) for array in arrays]
    only: dict[str, Array] = {}
    for axis in axes:
        maps = [(array.is_weight, array.owners[axis]) for array in arrays if axis in array.owners]
        constant = [owner.flat[0] for _, owner in sorted(maps, key=lambda each: not each[0]) if np.ptp(owner) == 0]
        only |= {axis: np.array(constant[0])} if constant else {}
    arrays = [routed(array, {axis: only[axis] for axis in only if axis in array.owners}) for array in arrays]
    for axis in gathered:
        arrays = [with_all_rows(array, axis) if axis in array.owners else array for array in arrays]
    owners: dict[str, Array] = dict(only)
    masked: set[str] = set()
    for axis in (axis for axis in axes if axis not in only):
        rows = [(term, array.owners[axis]) for term, array in zip(terms, arrays, strict=True) if axis in array.owners]
        if not rows:
            continue
        term, owner = rows[0]
        dim = _row_dim(owner)
        if term[dim] in out:
            row = owner[tuple(slice(None) if at == dim else 0 for at in range(owner.ndim))]
            owners[axis] = row.reshape([-1 if letter == term[dim] else 1 for letter in out])
        else:
            arrays = [each.as_terms([axis]) if axis in each.owners else each for each in arrays]
            for each in arrays:
                each.partial -= {axis}
            masked.add(axis)
    return arrays, owners, frozenset(masked)


def _row_dim(owner: Array) -> int:
    """Return the dimension along which elements have different owners."""
    (dim,) = (dim for dim in range(owner.ndim) if np.any(np.diff(owner, axis=dim)))
    return dim


def _gathered_rows(arrays: list[ShardedArray], terms: Sequence[str]) -> list[str]:
    """Return the mesh axes that divide the rows of one operand and a dimension that only the other operand has."""
    (one, first), (two, second) = zip(arrays, terms, strict=True)
    return [
        axis
        for rows, row_term, other, other_term in ((one, first, two, second), (two, second, one, first))
        for axis in rows.owners
        if axis in other.splits and other_term[other.splits[axis]] not in row_term
    ]


def _count_sent(array: ShardedArray, owners: Owners) -> None:
    """Count the elements that the ranks send to other owners: tokens to experts, or to the neighbouring rank."""
    ranks = array.ranks
    if any(np.any(each >= ranks.sizes[a]) for a, owner in owners.items() for each in (owner, array.owners[a])):
        ranks.count(ALL_TO_ALL, ranks.experts, Fraction(array.parts[0].size, array.n_owners(owners)), "ep")
        return
    sent = [0]
    for rank in range(len(ranks.places)):
        had = _place(array, rank, {axis: array.owners[axis] for axis in owners})
        wanted = _place(array, rank, owners)
        leaves = (had == _place_of(ranks, rank, owners)) & (wanted != had)
        if np.any(np.abs(wanted - had)[leaves] != 1):
            raise NotImplementedError(f"elements are sent further than to the next rank along {', '.join(owners)}")
        sent.append(int(leaves.sum()))
    inner = [axis for axis in ranks.sizes if axis in owners][-1]  # the last rank sends to the first of the next group
    ranks.count(SEND, [inner], max(sent))


def _place_of(ranks: Ranks, rank: int, axes: Iterable[str]) -> int:
    """Return the number of a rank along several mesh axes."""
    found = 0
    for axis in (axis for axis in ranks.sizes if axis in axes):
        found = found * ranks.sizes[axis] + ranks.places[rank][axis]
    return found


def _place(array: ShardedArray, rank: int, owners: Owners) -> Array:
    """Return the numbers of the ranks that have the elements of a local array along several mesh axes."""
    found = np.array(0)
    for axis in (axis for axis in array.ranks.sizes if axis in owners):
        local = array.local_owner(rank, axis, owners[axis])
        found = np.where((found == EVERY) | (local == EVERY), EVERY, found * array.ranks.sizes[axis] + local)
    return found
