"""Axes hold their values, and are divided at round places."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llmcalc.report.svg.axis import Scale, fitted, label, plain_label, ticks

KINDS = st.sampled_from(["count", "FLOPs", "bytes", "tokens"])
SIZES = st.floats(1e-3, 1e24)


@given(st.lists(SIZES, min_size=1, max_size=5), KINDS, st.booleans())
def test_an_axis_holds_its_values_and_has_ticks(values: list[float], kind: str, logarithmic: bool) -> None:
    low, high = fitted(values, kind, logarithmic)
    assert low < high
    assert low <= min(values) * (1 + 1e-6)
    assert max(values) <= high * (1 + 1e-6)
    places = [value for value, _ in ticks(low, high, kind, logarithmic, 6)]
    assert len(places) >= 2
    assert places == sorted(set(places))
    assert low * (1 - 1e-6) <= places[0]
    assert places[-1] <= high * (1 + 1e-6)


@given(st.lists(SIZES, min_size=2, max_size=5), KINDS, st.booleans(), st.integers(2, 12))
def test_ticks_are_told_apart_and_not_too_many(values: list[float], kind: str, logarithmic: bool, most: int) -> None:
    low, high = fitted(values, kind, logarithmic)
    labels = [text for _, text in ticks(low, high, kind, logarithmic, most)]
    assert len(set(labels)) == len(labels)
    assert len(labels) <= most + 2


@given(st.integers(1990, 2030), st.integers(0, 30))
def test_years_are_whole(first: int, more: int) -> None:
    low, high = fitted([first, first + more], "year", False)
    places = ticks(low, high, "year", False, 8)
    assert all(value == int(value) and text == str(int(value)) for value, text in places)


@given(st.floats(1, 1e12), st.floats(1, 1e12), st.booleans())
def test_a_scale_keeps_order_and_ends(low: float, high: float, logarithmic: bool) -> None:
    assume(high > low * 1.001)
    scale = Scale(low, high, 17, 311, logarithmic)
    assert abs(scale.place(low) - 17) < 1e-6
    assert abs(scale.place(high) - 311) < 1e-6
    assert 17 < scale.place((low + high) / 2) < 311


def test_labels_are_short() -> None:
    assert [plain_label(value) for value in (0, 5e8, 1.5e12)] == ["0", "500 M", "1.5 T"]
    assert [label(value, "bytes") for value in (512, 2**30, 1.5 * 2**40)] == ["512 B", "1 GiB", "1.5 TiB"]
    assert [label(value, "tokens") for value in (512, 2**17, 2**20)] == ["512", "128k", "1M"]


@pytest.mark.parametrize("low", [1e-5, 0.1, 7, 1e9, 1e13])
@pytest.mark.parametrize("ratio", [1e2, 1e4, 1e6])
def test_an_axis_has_one_notation(low: float, ratio: float) -> None:
    labels = [text for value, text in ticks(low, low * ratio, "FLOPs", True, 9) if not 1 <= value < 1000]
    assert len({"10" in text and any(sign in text for sign in "⁰¹²³⁴⁵⁶⁷⁸⁹") for text in labels}) <= 1
