"""Vectors of plain Python are computed as arrays of NumPy."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcalc.core.arrays import Vector, namespace

NUMBERS = st.floats(0.5, 1e6)
LISTS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5)
OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "lt", "le", "gt", "ge")


def same(found: Any, expected: Any) -> bool:
    return [*found.values] == pytest.approx(expected.tolist(), rel=1e-14)


@given(LISTS, NUMBERS)
def test_operators_are_those_of_arrays(pairs: list[tuple[float, float]], number: float) -> None:
    one, other = (Vector(values) for values in zip(*pairs, strict=True))
    first, second = (np.array(vector.values) for vector in (one, other))
    for name in OPERATORS:
        function = getattr(operator, name)
        assert same(function(one, other), function(first, second))
        assert same(function(one, number), function(first, number))
        assert same(function(number, one), function(number, first))
    assert same(-one, -first)
    assert same(abs(one - other), abs(first - second))
    assert same((one > number) & (other > number), (first > number) & (second > number))
    assert same((1 / one) ** 2, (1 / first) ** 2)
    assert one.sum(-1, keepdims=True) == pytest.approx(first.sum())
    assert (one.max(), len(one), one[0]) == (first.max(), len(first), first[0])


@given(LISTS, NUMBERS)
def test_functions_are_those_of_arrays(pairs: list[tuple[float, float]], number: float) -> None:
    one, other = (Vector(values) for values in zip(*pairs, strict=True))
    first, second = (np.array(vector.values) for vector in (one, other))
    ours, theirs = namespace(1.0, one), namespace(1.0, first)
    for name in ("ceil", "floor", "sqrt", "log", "log2"):
        assert same(getattr(ours, name)(one), getattr(theirs, name)(first))
    for name in ("minimum", "maximum"):
        assert same(getattr(ours, name)(number, other), getattr(theirs, name)(number, second))
    assert same(ours.where(one > number, other, 0.0), theirs.where(first > number, second, 0.0))
    assert same(ours.clip(one, 7.0, number + 7), theirs.clip(first, 7.0, number + 7))
    assert (ours.max(one), ours.max(3.0), ours.minimum(3.0, 2.0)) == (first.max(), 3.0, 2.0)


def test_a_vector_has_no_truth_value() -> None:
    with pytest.raises(ValueError, match="ambiguous"):
        bool(Vector([1.0, 2.0]))
