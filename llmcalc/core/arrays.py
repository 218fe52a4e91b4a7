"""Mathematical functions that accept numbers or arrays. The library of an array provides its functions.

Arrays are those of NumPy, or a ``Vector`` where NumPy is not installed, as in a browser.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from functools import partial
from itertools import repeat

from .type_names import Any

Number = Any  # a float, or an array of floats of any shape


class Scalars:
    """The functions of NumPy that the closed forms use, for floats."""

    minimum = staticmethod(min)
    maximum = staticmethod(max)
    sqrt = staticmethod(math.sqrt)
    exp = staticmethod(math.exp)
    log = staticmethod(math.log)
    log2 = staticmethod(math.log2)
    ceil = staticmethod(math.ceil)

    @staticmethod
    def floor(value: float) -> float:
        """Return the largest integer that is not above the value."""
        return float(math.floor(value))

    @staticmethod
    def max(value: float) -> float:
        """Return the largest element, which is the number itself."""
        return value

    @staticmethod
    def where(condition: bool, one: float, other: float) -> float:
        """Return one of two values."""
        return one if condition else other

    @staticmethod
    def clip(value: float, low: float, high: float) -> float:
        """Return the value within bounds."""
        return min(max(value, low), high)


def namespace(*values: Number) -> Any:
    """Return a namespace with ``minimum``, ``ceil``, ``where`` and so on for the given values.

    >>> namespace(1.5, 2).ceil(1.5)
    2
    """
    for value in values:
        if hasattr(value, "__array_namespace__"):
            return value.__array_namespace__()  # the other values may be numbers
    return Scalars


def is_zero(value: Number) -> bool:
    """Return whether a number, or every element of an array without negative ones, is 0."""
    return not (value.max() if hasattr(value, "max") else value)


class Vector:
    """Floats that are computed elementwise, with the operators of an array of one dimension.

    >>> lengths = Vector([1.0, 4.0])
    >>> (2 * lengths + 1).values, namespace(lengths).maximum(lengths, 2).values, lengths.sum()
    ([3.0, 9.0], [2, 4.0], 5.0)
    """

    ndim = 1

    def __init__(self, values: Iterable[float]) -> None:
        self.values = list(values)

    def __array_namespace__(self) -> type[Vectors]:
        return Vectors

    def __getitem__(self, place: int) -> float:
        return self.values[place]

    def __len__(self) -> int:
        return len(self.values)

    def __bool__(self) -> bool:
        raise ValueError("the truth value of several numbers is ambiguous")

    def __neg__(self) -> Vector:
        return Vector(map(operator.neg, self.values))

    def __abs__(self) -> Vector:
        return Vector(map(abs, self.values))

    def sum(self, axis: int = -1, *, keepdims: bool = False) -> float:
        """Return the sum. It is a number, which ``keepdims`` does not change because all operators accept numbers."""
        return sum(self.values)

    def max(self) -> float:
        """Return the largest element."""
        return max(self.values)


def elementwise(function: Callable[..., Any], *values: Number) -> Any:
    """Return a function of each element of vectors, or of numbers. A number is the same for all elements."""
    if not any(isinstance(value, Vector) for value in values):
        return function(*values)
    return Vector(map(function, *[value.values if isinstance(value, Vector) else repeat(value) for value in values]))


def _operator(function: Callable[[Any, Any], Any], *, is_reflected: bool = False) -> Callable[[Vector, Number], Any]:
    if is_reflected:
        return lambda self, other: elementwise(function, other, self)
    return lambda self, other: elementwise(function, self, other)


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    setattr(Vector, f"__{_name}__", _operator(getattr(operator, _name)))
    setattr(Vector, f"__r{_name}__", _operator(getattr(operator, _name), is_reflected=True))
for _name in ("lt", "le", "gt", "ge", "and"):
    setattr(Vector, f"__{_name}__", _operator(getattr(operator, f"{_name}_" if _name == "and" else _name)))


class Vectors:
    """The functions of NumPy that the closed forms use, for vectors."""

    @staticmethod
    def max(values: Number) -> float:
        """Return the largest element."""
        return max(values.values) if isinstance(values, Vector) else values

    @staticmethod
    def clip(values: Number, low: Number, high: Number) -> Any:
        """Return the elements within bounds."""
        return elementwise(Scalars.clip, values, low, high)


for _name in ("minimum", "maximum", "sqrt", "exp", "log", "log2", "ceil", "floor", "where"):
    setattr(Vectors, _name, staticmethod(partial(elementwise, getattr(Scalars, _name))))
