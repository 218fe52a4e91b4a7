"""Arrays of values on a grid: NumPy arrays, or plain lists where NumPy is not installed, as in a browser.

>>> grid = Grid((2, 3))
>>> grid[1] = Grid((3,), [1.0, 2.0, 3.0])
>>> grid[0, 2] = 5
>>> grid.transpose([1, 0]).tolist()
[[0.0, 1.0], [0.0, 2.0], [5.0, 3.0]]
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from math import prod

from ..core.arrays import Vector
from ..core.type_names import Any


def empty_grid(shape: Sequence[int]) -> Any:
    """Return a float64 array with uninitialised values, or a ``Grid`` if NumPy is not installed."""
    numpy = numpy_module()
    return Grid(shape) if numpy is None else numpy.empty(tuple(shape))


def vector(values: Iterable[float]) -> Any:
    """Return a float64 array of one dimension, or a ``Vector`` if NumPy is not installed."""
    numpy = numpy_module()
    return Vector(values) if numpy is None else numpy.array(list(values), dtype=float)


def numpy_module() -> Any:
    """Return NumPy, or None if it is not installed."""
    try:
        import numpy
    except ImportError:
        return None
    return numpy


class Grid:
    """Floats in any number of dimensions, with the methods of a NumPy array that sweeps use."""

    def __init__(self, shape: Sequence[int], values: list[float] | None = None) -> None:
        self.shape = tuple(shape)
        self.values = [0.0] * prod(self.shape) if values is None else values

    def __setitem__(self, place: int | tuple[int, ...], value: Any) -> None:
        """Set one value, or all values of the remaining dimensions."""
        first = place if isinstance(place, tuple) else (place,)
        size = prod(self.shape[len(first) :])
        start = self._at(first) * size
        self.values[start : start + size] = value.values if isinstance(value, Grid) else [float(value)] * size

    def __truediv__(self, divisor: float) -> Grid:
        return Grid(self.shape, [value / divisor for value in self.values])

    def transpose(self, order: Sequence[int]) -> Grid:
        """Return the grid with its dimensions in another order."""
        shape = [self.shape[dimension] for dimension in order]
        inverse = [list(order).index(dimension) for dimension in range(len(order))]
        places = product(*map(range, shape))
        return Grid(shape, [self.values[self._at([place[at] for at in inverse])] for place in places])

    def ravel(self) -> Grid:
        """Return the values in one dimension, with the last dimension varying fastest."""
        return Grid([len(self.values)], self.values)

    def tolist(self) -> Any:
        """Return nested lists, or a float if there are no dimensions."""
        found: Any = self.values
        for size in reversed(self.shape[1:]):
            found = [found[start : start + size] for start in range(0, len(found), size)]
        return found if self.shape else self.values[0]

    def _at(self, place: Sequence[int]) -> int:
        found = 0
        for at, size in zip(place, self.shape, strict=False):
            found = found * size + at
        return found
