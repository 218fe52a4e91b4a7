"""Intervals of estimated times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import exp, hypot, log
from typing import NamedTuple

from ..serving.factors import remaining_error
from .arrays import Number
from .efficiency import GENERIC, NEAREST, Efficiency

QUANTILE = 1.2816  # of a normal distribution, for 80 %
WIDER = 0.15  # logarithmic error that a missing measurement adds


class Interval(NamedTuple):
    """An interval that contains the measured time in 80 % of the cases.

    Attributes:
        low: lower end.
        high: upper end.
        reasons: why the interval is wider than for a measured accelerator, number format and engine.
    """

    low: Number
    high: Number
    reasons: tuple[str, ...]


def time_interval(
    seconds: Number,
    errors: Mapping[str, float],
    used: Iterable[Efficiency] = (),
    unknown_engine: str = "",
    measurements: int = 0,
) -> Interval:
    """Return the interval of 80 % of an estimated time.

    Measurements of one deployment deviate together, so that two variances add up: between deployments, and inside one.

    Args:
        seconds: estimated time.
        errors: logarithmic standard deviations ``between`` deployments and ``inside`` a deployment.
        used: coefficients of the kernels that the estimate uses.
        unknown_engine: name of an engine without measurements.
        measurements: number of measurements of this deployment that the estimate is calibrated by.
    """
    sizes, reasons = [errors["between"], errors["inside"]], []
    far = sorted({efficiency.kernel for efficiency in used if efficiency.error and efficiency.origin == NEAREST})
    generic = sorted({efficiency.kernel for efficiency in used if efficiency.error and efficiency.origin == GENERIC})
    if far:
        reasons.append(f"kernels were measured on related accelerators only ({', '.join(far)})")
    if generic:
        reasons.append(f"kernels were not measured on this accelerator or its relatives ({', '.join(generic)})")
    if unknown_engine:
        reasons.append(f"no measurements of {unknown_engine}")
    sizes += [WIDER] * len(reasons) + ([WIDER] if generic else [])
    if measurements:
        between, inside = hypot(sizes[0], *sizes[2:]), sizes[1]
        sizes, reasons = [remaining_error(between, inside, measurements), inside], []
    factor = exp(QUANTILE * hypot(*sizes))
    return Interval(seconds / factor, seconds * factor, tuple(reasons))


def with_span(interval: Interval, best_s: Number, slow_s: Number, fast_s: Number, reason: str) -> Interval:
    """Return an interval that also covers the times with other values of an assumption, as independent errors.

    Args:
        interval: interval of the time.
        best_s: this time.
        slow_s: time with the value that is the slowest.
        fast_s: time with the value that is the fastest.
        reason: the assumption.
    """
    low = best_s * exp(-hypot(log(best_s / interval.low), log(best_s / fast_s)))
    high = best_s * exp(hypot(log(interval.high / best_s), log(slow_s / best_s)))
    return Interval(low, high, (*interval.reasons, reason))
