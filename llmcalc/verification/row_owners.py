"""Rows that only some ranks have, such as the tokens of an expert, and the exchanges that give them to other ranks."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ..calc.collectives import ALL_GATHER, ALL_TO_ALL, REDUCE_SCATTER, SEND
from ..twins.weights import Array
from .ranks import Parts
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
        found = found.with_owners(axis, owner, _from_owners(found, axis) if axis in moved else found.parts)
    found.sent = array.sent
    return found


def with_all_rows(array: ShardedArray, axis: str) -> ShardedArray:
    """Return the array with the elements of all owners along a mesh axis, which an all-gather sends to each rank."""
    found, ranks, key = array.owned([axis]), array.ranks, f"{axis} {array.ranks.phase}"
    if key not in array.sent:
        array.sent.add(key)
        ranks.count(ALL_GATHER, [axis], Fraction(found.parts[0].size * ranks.sizes[axis], found.n_owners([axis])))
    found.parts = _from_owners(found, axis)
    del found.owners[axis]
    return found


def scattered(array: ShardedArray, axis: str, owner: Array) -> ShardedArray:
    """Sum terms along a mesh axis. A reduce-scatter sends each element of the sum to its owner."""
    ranks = array.ranks
    ranks.count(REDUCE_SCATTER, [axis], Fraction(array.parts[0].size, array.n_owners()))
    parts = [sum(array.parts[peer] for peer in ranks.peers(rank, [axis])) for rank in range(len(array.parts))]
    partial = array.partial - {axis}
    found = ShardedArray(ranks, parts, array.shape, array.splits, partial, array.is_weight, array.owners)
    return found.with_owners(axis, owner, parts)


def _count_sent(array: ShardedArray, owners: Owners) -> None:
    """Count the elements that the ranks send to other owners: tokens to experts, or to the neighbouring rank."""
    ranks = array.ranks
    if any(np.any(each >= ranks.sizes[a]) for a, owner in owners.items() for each in (owner, array.owners[a])):
        ranks.count(ALL_TO_ALL, ranks.experts, Fraction(array.parts[0].size, array.n_owners(owners)), "ep")
        return
    for axis, owner in owners.items():
        sent = [0]
        for rank, place in enumerate(ranks.places):
            had, wanted = (array.local_owner(rank, axis, each) for each in (array.owners[axis], owner))
            leaves = (had == place[axis]) & (wanted != had)
            if np.any(np.abs(wanted - had)[leaves] != 1) or np.any(wanted[leaves] == EVERY):
                raise NotImplementedError(f"elements are sent further than to the next rank along {axis}")
            sent.append(int(leaves.sum()))
        ranks.count(SEND, [axis], max(sent))


def _from_owners(array: ShardedArray, axis: str) -> Parts:
    """Return the local arrays with the elements of all owners along a mesh axis."""
    found = []
    for rank, part in enumerate(array.parts):
        for at, peer in enumerate(array.ranks.peers(rank, [axis])):
            part = np.where(array.local_owner(rank, axis, array.owners[axis]) == at, array.parts[peer], part)
        found.append(part)
    return found
