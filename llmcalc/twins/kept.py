"""What a tape holds on to: numbers in memory, each counted once, whatever views look at them."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .weights import Array


class Kept:
    """Arrays that are needed later, by the memory that they stand in.

    Attributes:
        held: by the id of the array that owns the memory: itself, and which of its numbers are needed.
        copied: by the id of a copy's owner: itself, and the array whose numbers it has.

    >>> x = np.arange(12.0).reshape(3, 4)
    >>> kept = Kept()
    >>> kept.add(x[:, :2])
    >>> kept.add(x[1])
    >>> kept.sizes()
    (8,)
    """

    def __init__(self) -> None:
        self.held: dict[int, tuple[Array, Array]] = {}
        self.copied: dict[int, tuple[Array, Array]] = {}

    def add(self, array: Array) -> None:
        """Hold on to an array of one or more dimensions."""
        if np.ndim(array) == 0:
            return
        whole = owner(array)
        if id(whole) in self.copied:
            self.add(self.copied[id(whole)][1])
            return
        _, needed = self.held.setdefault(id(whole), (whole, np.zeros(whole.size, bool)))
        first = (_address(array) - _address(whole)) // whole.itemsize
        strides = [step // whole.itemsize for step in array.strides]
        as_strided(needed[first:], array.shape, strides)[...] = True

    def same(self, copy: Array, original: Array) -> None:
        """``copy`` has the numbers of ``original``: in the same memory, or in memory of its own."""
        if owner(copy) is not owner(original):
            self.copied[id(owner(copy))] = owner(copy), original

    def sizes(self) -> tuple[int, ...]:
        """How many numbers of each piece of memory are needed, in the order in which they were made."""
        return tuple(int(needed.sum()) for _, needed in self.held.values())


def owner(array: Array) -> Array:
    """The array whose memory a view looks at."""
    while isinstance(getattr(array, "base", None), np.ndarray):
        array = array.base
    return array


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])
