"""Mathematical functions that accept numbers or NumPy arrays. The library of an array provides its functions."""

from __future__ import annotations

import math
from typing import Any

Number = Any  # a float, or an array of floats of any shape


class Scalars:
    """The functions of NumPy that the closed forms use, for floats."""

    minimum = staticmethod(min)
    maximum = staticmethod(max)
    sqrt = staticmethod(math.sqrt)
    log = staticmethod(math.log)
    log2 = staticmethod(math.log2)

    @staticmethod
    def ceil(value: float) -> float:
        """Return the smallest integer that is not below the value."""
        return float(math.ceil(value))

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
    2.0
    """
    own = (getattr(value, "__array_namespace__", None) for value in values)
    return next((find() for find in own if find is not None), Scalars)
