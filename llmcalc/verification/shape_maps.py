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


def indexed(index: Any, shape: Sequence[int]) -> tuple[tuple[Any, ...], dict[int, Any], bool]:
    """Return an index as a tuple, the indices of the dimensions that it changes, and whether each token has its own.

    In the tuple, ``:`` stands for each slice that contains a whole dimension.
    """
    index = index if isinstance(index, tuple) else (index,)
    n_other = len(shape) - sum(each is not None and each is not Ellipsis for each in index)
    found: list[Any] = []
    changed: dict[int, Any] = {}
    dim = 0
    for each in index:
        if each is Ellipsis:
            dim += n_other
        elif each is not None:
            if isinstance(each, slice) and range(*each.indices(shape[dim])) == range(shape[dim]):
                each = slice(None)
            else:
                changed[dim] = each
            dim += 1
        found.append(each)
    return tuple(found), changed, any(np.ndim(each) > 1 for each in changed.values())


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
