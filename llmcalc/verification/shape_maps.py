"""Dimensions that follow from the dimensions of an array when it is reshaped, indexed or moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ..twins.weights import Array


def images(function: Callable[[Array], Array], shape: Sequence[int]) -> tuple[Sequence[int], dict[int, int]]:
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


def normalised(index: Any, shape: Sequence[int]) -> tuple[Any, ...]:
    """Return an index as a tuple, with ``:`` in place of slices that contain a whole dimension."""
    index = index if isinstance(index, tuple) else (index,)
    found, dim = [], 0
    for each in index:
        if each is Ellipsis:
            dim += len(shape) - sum(other is not None and other is not Ellipsis for other in index)
        elif each is not None:
            if isinstance(each, slice) and range(*each.indices(shape[dim])) == range(shape[dim]):
                each = slice(None)
            dim += 1
        found.append(each)
    return tuple(found)


def indexed(index: tuple[Any, ...], ndim: int) -> tuple[dict[int, Any], bool]:
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


def factors(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
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
