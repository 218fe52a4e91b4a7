"""Indexing of sharded arrays.

A rank selects rows of its own tokens alone. Rows that other ranks need, such as the token before the first one of a
rank, have an owner until an operation requires them. The ranks gather tokens before they copy rows.
"""

from __future__ import annotations

import operator
from functools import partial
from math import prod
from typing import Any

import numpy as np

from ..calc.collectives import FORWARD
from ..twins.weights import Array
from .shape_maps import images, indexed
from .sharded_array import EVERY, OPERATIONS, ShardedArray, Splits, divide

ID_DIMS = 2


def take(array: ShardedArray, index: Any) -> ShardedArray:
    """Return the elements at an index."""
    ranks = array.ranks
    index, dims, is_gather = indexed(index, array.shape)
    if ranks.phase == FORWARD and prod(np.broadcast_to(0.0, array.shape)[index].shape) < array.size:
        array.reduce(array.partial)
    if (
        array.ndim == 2
        and not (array.is_weight or array.owners)
        and any(isinstance(i, np.ndarray) for i in dims.values())
    ):
        array = array.narrowed(dict.fromkeys(ranks.share_of_tokens, 0)).owned(ranks.share_of_tokens)
    splits = array.splits  # after the reduction
    changed = {axis: dims[dim] for axis, dim in splits.items() if dim in dims}
    looked_up = {axis for axis, each in changed.items() if isinstance(each, np.ndarray)}
    rows = {axis for axis, each in changed.items() if _divides_tokens(array, axis) and not isinstance(each, int)}
    owned = rows | {axis for axis, each in changed.items() if array.is_weight and isinstance(each, int)}
    cut = changed.keys() - looked_up - owned
    source = array.owned(owned).gathered(cut).as_terms(looked_up - owned)  # ranks look up their own entries
    if array.is_weight:  # an expert, to which tokens are sent even if they are on the same rank
        source.owners = {axis: owner + ranks.sizes[axis] for axis, owner in source.owners.items()}
    found = source.moved(lambda part: part[index])
    found = found.narrowed(_splits_of_ids(dims))
    found = found.settled() if found.ndim > 2 and not array.is_weight else found
    rows &= looked_up
    copied = {axis for axis in rows if changed[axis].size > array.shape[splits[axis]]}
    for_weights = {axis for axis in rows & found.owners.keys() if ranks.groups[axis] == "tp"} - copied
    for_weights = set() if ranks.experts else for_weights  # rows are sent to their experts first
    if copied or for_weights:
        rings = {axis for axis in copied if ranks.groups[axis] != "tp"}
        return _take_gathered(array.gathered(copied - rings - for_weights), index, rings | for_weights)
    found.is_moved = True
    found.is_weight = array.is_weight and not is_gather
    return found


class DividedIds(np.ndarray[Any, Any]):
    """Token ids [b q], which all ranks know. Each rank looks up its own tokens.

    Attributes:
        splits: divided dimension by mesh axis.
    """

    splits: Splits

    @classmethod
    def of(cls, ids: Array, splits: Splits) -> DividedIds:
        """Return divided ids."""
        found: DividedIds = ids.view(cls)
        found.splits = splits
        return found

    def __array_finalize__(self, source: Any) -> None:
        self.splits = getattr(source, "splits", {})

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        found = super().__array_function__(function, types, inputs, options)
        return self.of(found, self.splits) if function is np.where and isinstance(found, np.ndarray) else found


def _splits_of_ids(dims: dict[int, Any]) -> Splits:
    """Return the divided dimensions of rows that divided ids look up, given the index of each dimension."""
    divided = ((dim, each) for dim, each in dims.items() if isinstance(each, DividedIds) and each.ndim == ID_DIMS)
    return {axis: dim + at for dim, each in divided for axis, at in each.splits.items()}


def _take_gathered(array: ShardedArray, index: Any, axes: set[str]) -> ShardedArray:
    """Return rows of gathered tokens. The backward pass gathers the inputs of weight matrices and keys again."""
    found = array.gathered(axes, is_saved=False)[index]
    found.gather_again = partial(array.gathered, axes, is_saved=False) if axes else None
    return found


def _divides_tokens(array: ShardedArray, axis: str) -> bool:
    """Return whether a mesh axis divides tokens or groups of tokens."""
    if array.is_weight or array.ranks.groups[axis] != "tp":
        return not array.is_weight
    return array.ranks.tokens > 0 and array.splits[axis] == (1 if array.ndim > 2 else 0)


def add_at(array: ShardedArray, index: Any, values: ShardedArray) -> None:
    """Add values at an index, in place. The array is divided as the values are, apart from indexed dimensions."""
    index, dims, _ = indexed(index, array.shape)
    _, to = images(lambda part: part[index], array.shape)
    dim_of = {at: dim for dim, at in to.items() if dim not in dims}
    kept = {axis: dim_of[at] for axis, at in values.splits.items() if at in dim_of}
    terms = values.owned(values.splits.keys() - kept.keys())
    owners = {}
    for axis, owner in terms.owners.items():
        owners[axis] = np.full(array.shape, EVERY)
        owners[axis][index] = owner
        if np.any(owners[axis][index] != owner):  # terms of several ranks
            terms = terms.as_terms([axis])
            del owners[axis]
    parts = [part.copy() for part in divide(np.zeros(array.shape), array.ranks, kept).parts]
    for part, term in zip(parts, terms.parts, strict=True):
        np.add.at(part, index, term)
    array.parts, array.splits, array.partial, array.owners = parts, kept, terms.partial, owners


OPERATIONS |= {operator.getitem: take, np.ufunc.at: add_at}
