"""Amounts: valid spellings, and one clear error for all others."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcalc.core.errors import InputError
from llmcalc.estimate.amounts import amount, compute, share

AMOUNTS = {
    "15T": 15e12, "15t": 15e12, "1.4e12": 1.4e12, "70 B": 70e9, "70G": 70e9, "3M": 3e6, "2k": 2e3, "7": 7.0, ".5": 0.5,
    "1e+3": 1e3, "2.5e-1": 0.25, "1P": 1e15,
}  # fmt: skip
COMPUTE = {
    "5.76e23": 5.76e23, "5.76e23 FLOPs": 5.76e23, "5.76e23flop": 5.76e23, "1PF-day": 8.64e19,
    "3640 PF-days": 3640 * 8.64e19, "3640pfd": 3640 * 8.64e19, "2petaflop/s-days": 2 * 8.64e19, "3T": 3e12,
}  # fmt: skip
SHARES = {"40%": 0.4, "0.4": 0.4, "38.5 %": 0.385, "100%": 1.0, "1": 1.0}
READERS = (amount, compute, share)


@pytest.mark.parametrize("text", AMOUNTS)
def test_amounts(text: str) -> None:
    assert amount(text, "--x") == pytest.approx(AMOUNTS[text])


@pytest.mark.parametrize("text", COMPUTE)
def test_compute(text: str) -> None:
    assert compute(text) == pytest.approx(COMPUTE[text])


@pytest.mark.parametrize("text", SHARES)
def test_shares(text: str) -> None:
    assert share(text, "--mfu") == pytest.approx(SHARES[text])


@pytest.mark.parametrize(
    "text", ["", " ", "-1", "0", "1e99", "1e999", "T", "1TB", "1,5", "1_000", "nan", "inf", "٣", "9" * 50]
)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_amount(text: str, reader: Callable[[str, str], float]) -> None:
    with pytest.raises(InputError) as caught:
        reader(text, "x")
    assert caught.value.parameter == "x"
    assert caught.value.hint


@given(st.text(max_size=60))
def test_any_text_is_an_amount_or_an_error(text: str) -> None:
    for reader in READERS:
        try:
            value = reader(text, "x")
        except InputError:
            continue
        assert isfinite(value)
        assert value > 0
