"""The fit of factors to measured times."""

from __future__ import annotations

import pytest

from llmcalc.kernels.interval import remaining_error
from llmcalc.serving.factors import Factors, MeasuredTime, fit_factors

USUAL = 0.0011
PARTS = ((0.0053, 0.0002, 0.0007), (0.0071, 0.0005, 0.0043), (0.0131, 0.0017, 0.0101), (0.0029, 0.0001, 0.0003))


def measured(factors: Factors, *, repeated: int = 1) -> list[MeasuredTime]:
    found = [MeasuredTime(*parts, 1.0) for parts in PARTS]
    return [one._replace(measured=one.seconds(factors)) for one in found] * repeated


def test_no_measurement_gives_the_prior() -> None:
    assert fit_factors([], USUAL) == Factors(1, 1, USUAL)


def test_many_measurements_give_the_factors() -> None:
    true = Factors(1.31, 0.83, 0.0037)
    found = fit_factors(measured(true, repeated=2003), USUAL)
    assert (found.decode, found.prefill, found.step_s) == pytest.approx((1.31, 0.83, 0.0037), rel=0.02)


def test_few_measurements_give_less() -> None:
    found = fit_factors(measured(Factors(1.5, 1.0, USUAL))[:1], USUAL)
    assert 1 < found.decode < 1.5


def test_a_single_outlier_counts_less() -> None:
    fine = measured(Factors(1.1, 1.0, USUAL), repeated=3)
    outlier = fine[0]._replace(measured=fine[0].measured * 5)
    clean, found = fit_factors(fine, USUAL), fit_factors([*fine, outlier], USUAL)
    assert found.decode == pytest.approx(clean.decode, rel=0.05)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_absurd_times_give_finite_factors(scale: float) -> None:
    rows = [one._replace(measured=one.measured * scale) for one in measured(Factors(1, 1, USUAL))]
    found = fit_factors(rows, USUAL)
    assert all(0 < value < float("inf") for value in (found.decode, found.prefill, found.step_s))


def test_the_error_between_deployments_shrinks_with_rows() -> None:
    found = [remaining_error(0.13, 0.12, rows) for rows in (0, 1, 5, 1009)]
    assert found[0] == pytest.approx(0.13)
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.005
