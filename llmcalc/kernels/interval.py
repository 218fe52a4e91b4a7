"""Intervals of estimated times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import exp, hypot, sqrt

from ..core.arrays import Number
from ..core.interval import Interval
from .efficiency import GENERIC, NEAREST, Efficiency

QUANTILE = 1.2816  # of a normal distribution, for 80 %
WIDER = 0.15  # logarithmic error that a missing measurement adds


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
    fitted = [efficiency for efficiency in used if efficiency.error]
    far, generic = (
        sorted({efficiency.kernel for efficiency in fitted if efficiency.origin == origin})
        for origin in (NEAREST, GENERIC)
    )
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
    return Interval.exact(seconds).widened(exp(QUANTILE * hypot(*sizes)), tuple(reasons))


def remaining_error(between: float, inside: float, rows: int) -> float:
    """Return the logarithmic deviation between deployments that is left after a number of measurements of one.

    >>> round(remaining_error(0.13, 0.12, 0), 3), round(remaining_error(0.13, 0.12, 5), 3)
    (0.13, 0.05)
    """
    return between * inside / hypot(inside, sqrt(rows) * between)
