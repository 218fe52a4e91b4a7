"""Closed forms: exact arithmetic, and atoms that match counts by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcalc.core.errors import UnknownNameError
from llmcalc.core.form import Form, ceil, chunk_pairs, lift, log2, maximum, minimum, pairs, remainder, symbol

b, q, k = (symbol(name) for name in "bqk")
WORKLOADS = st.fixed_dictionaries({name: st.integers(0, 10**9) for name in "bqk"})
SMALL = st.integers(1, 23)


@st.composite
def forms(draw: st.DrawFn) -> Form:
    """A form of a few terms, atoms included."""
    atoms = [b, q, k, lift(1), ceil(q, 7), minimum(k, 13), maximum(q, 5), remainder(k, 11), log2(q)]
    total = lift(0)
    for _ in range(draw(st.integers(0, 4))):
        term = lift(draw(st.integers(-(10**20), 10**20)))
        for atom in draw(st.lists(st.sampled_from(atoms), max_size=3)):
            term = term * atom
        total = total + term
    return total


@given(forms(), forms(), forms(), WORKLOADS)
def test_forms_are_a_ring_and_evaluation_respects_it(x: Form, y: Form, z: Form, workload: dict[str, int]) -> None:
    assert x + y == y + x
    assert x * y == y * x
    assert x * (y + z) == x * y + x * z
    assert (x + y) + z == x + (y + z)
    assert x - x == 0
    assert (x + y)(**workload) == x(**workload) + y(**workload)
    assert (x * y)(**workload) == x(**workload) * y(**workload)
    assert (3 - x)(**workload) == 3 - x(**workload)


@given(forms())
def test_equal_forms_hash_equally_and_print_equally(x: Form) -> None:
    same = x + 1 - 1
    assert (same, hash(same), str(same)) == (x, hash(x), str(x))


@given(st.integers())
def test_a_constant_is_its_integer(number: int) -> None:
    assert lift(number) == number
    assert hash(lift(number)) == hash(number)
    assert lift(number)() == number


def test_nothing_overflows() -> None:
    # GPT-3's forward pass on more tokens than int64 can count the FLOPs of
    form = 349_127_467_008 * b * q + 4_718_592 * b * q * k
    assert form(b=10**6, q=10**7, k=10**7) == 349_127_467_008 * 10**13 + 4_718_592 * 10**20


def test_printing() -> None:
    form = 349_127_467_008 * b * q + 4_718_592 * b * q * k - 1
    assert str(form) == "-1 + 349,127,467,008·b·q + 4,718,592·b·q·k"
    assert str(minimum(k, 4096) * q) == "q·min(k, 4096)"
    assert str(lift(0)) == "0"


def test_symbols_look_inside_atoms() -> None:
    assert (b * ceil(q, 7) + minimum(k, 3)).symbols() == {"b", "q", "k"}


def test_an_unknown_symbol_is_named() -> None:
    with pytest.raises(UnknownNameError, match="'k'"):
        (b * k)(b=1, q=2)


@pytest.mark.parametrize("wrong", [1.5, "q", None])
def test_only_integers_mix_with_forms(wrong: Any) -> None:
    with pytest.raises(TypeError, match="integer"):
        q + wrong
    with pytest.raises(TypeError, match="integer"):
        q * wrong


def test_a_form_does_not_change() -> None:
    with pytest.raises(AttributeError):
        q.terms = {}  # type: ignore[misc]


@given(st.integers(0, 500), st.integers(1, 50))
def test_ceil_min_max_mod_are_what_they_say(x: int, y: int) -> None:
    assert ceil(x, y) == len(range(0, x, y))
    assert (minimum(x, y), maximum(x, y)) == (min(x, y), max(x, y))
    assert x == y * (x // y) + remainder(x, y)


@given(st.integers(1, 2**80))
def test_log2_counts_the_halvings(n: int) -> None:
    assert 2 ** log2(n) >= n > 2 ** (log2(n) - 1) or n == 1 == 2 ** log2(n)


def visible(new: int, total: int, sees: Any) -> int:
    """Count (query, key) pairs one by one; ``sees(query, key)`` limits them."""
    return sum(key <= query and sees(query, key) for query in range(total - new, total) for key in range(total))


@given(SMALL, st.integers(0, 23), st.integers(1, 29))
def test_pairs_are_counted_one_by_one(new: int, cached: int, window: int) -> None:
    total = new + cached
    assert pairs(new, total) == visible(new, total, lambda query, key: True)
    assert pairs(new, total, window) == visible(new, total, lambda query, key: key > query - window)


@given(SMALL, st.integers(0, 23), st.integers(1, 29))
def test_chunk_pairs_are_counted_one_by_one(new: int, cached: int, chunk: int) -> None:
    total = new + cached
    expected = visible(new, total, lambda query, key: key // chunk == query // chunk)
    assert chunk_pairs(new, total, chunk) == expected


@given(SMALL, st.integers(0, 23), st.integers(1, 29))
def test_an_atom_evaluates_to_what_its_function_gives(new: int, cached: int, width: int) -> None:
    total = new + cached
    assert pairs(q, k, width)(q=new, k=total) == pairs(new, total, width)
    assert pairs(q, k)(q=new, k=total) == pairs(new, total)
    assert chunk_pairs(q, k, width)(q=new, k=total) == chunk_pairs(new, total, width)
    assert pairs(q, q + k, symbol("w"))(q=new, k=cached, w=width) == pairs(new, total, width)


def test_arrays_flow_through_and_agree_with_integers() -> None:
    new, cached = np.arange(1.0, 12.0), np.arange(3.0, 14.0)
    form = 7 * b * q + pairs(q, k, 5) + ceil(q, 3) + minimum(k, 6) + maximum(q, 4) + log2(q) + chunk_pairs(q, k, 4)
    swept = form(b=2.0, q=new, k=new + cached)
    single = [form(b=2, q=int(n), k=int(n + c)) for n, c in zip(new, cached, strict=True)]
    assert swept.tolist() == single


def test_a_window_may_be_swept() -> None:
    windows = np.array([2.0, 3.0, 50.0])
    assert pairs(q, k, symbol("w"))(q=7, k=11, w=windows).tolist() == [pairs(7, 11, w) for w in (2, 3, 50)]
