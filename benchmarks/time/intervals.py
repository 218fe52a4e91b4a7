"""Deviations of estimated times between deployments and inside one, and the coverage of intervals."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from llmcalc.kernels.interval import QUANTILE

FILE = Path(__file__).parent.parent.parent / "llmcalc" / "data" / "time_errors.yaml"
NORMAL = 1.4826  # standard deviations of a normal distribution per median absolute deviation
SHARE = 0.8  # of the measured times that an interval contains

Spread = Callable[[np.ndarray], float]


def robust(deviations: np.ndarray) -> float:
    """Return the standard deviation of most values, for many measurements with some outliers."""
    return NORMAL * float(np.median(np.abs(deviations)))


def inside_share(deviations: np.ndarray) -> float:
    """Return the standard deviation that gives an interval of 80 % of the values, for few measurements."""
    return float(np.quantile(np.abs(deviations), SHARE)) / QUANTILE


def two_variances(
    found: np.ndarray, measured: np.ndarray, groups: np.ndarray, spread: Spread = robust
) -> tuple[float, float]:
    """Return the logarithmic deviations between groups and inside a group."""
    deviations = np.log(found / measured)
    means = {name: np.median(deviations[groups == name]) for name in sorted(set(groups))}
    inside = deviations - np.array([means[name] for name in groups])
    return spread(np.array(list(means.values()))), spread(inside)


def coverage(
    found: np.ndarray, measured: np.ndarray, groups: np.ndarray, spread: Spread = robust
) -> tuple[float, float]:
    """Return the share of times inside their intervals, and the median width.

    The width of a group's interval follows from the deviations of the other groups.
    """
    widths = np.zeros(len(found))
    for name in sorted(set(groups)):
        others = groups != name
        own = two_variances(found[others], measured[others], groups[others], spread)
        widths[~others] = QUANTILE * np.hypot(*own)
    inside = np.abs(np.log(found / measured)) <= widths
    return float(np.mean(inside)), float(np.exp(np.median(widths)))


def write_errors(found: Mapping[str, tuple[float, float]], *, is_written: bool) -> None:
    """Print deviations as the data file has them, and replace them there if ``is_written``."""
    text = FILE.read_text("utf-8")
    for name, (between, inside) in found.items():
        values = f"{name}: {{between: {between:.3f}, inside: {inside:.3f}"
        print(f"{values}}}")
        text = re.sub(rf"^{name}: {{between: [\d.]+, inside: [\d.]+", values, text, flags=re.MULTILINE)
    if is_written:
        FILE.write_text(text, "utf-8")
