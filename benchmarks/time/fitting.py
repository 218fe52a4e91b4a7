"""Least squares on the logarithm of times, and errors on measurements that were left out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

FOLDS = 5
SMALLEST = 8  # measurements that a fit needs
SCALE = 0.1  # logarithmic error from which a measurement counts less
EVALUATIONS = 60

Rows = dict[str, np.ndarray]
Form = Callable[[Rows, Mapping[str, float]], np.ndarray]


@dataclass(frozen=True)
class Start:
    """Start value and bounds of a coefficient."""

    value: float
    low: float
    high: float


def fit(form: Form, rows: Rows, starts: Mapping[str, Start]) -> dict[str, float]:
    """Return the coefficients that minimise the logarithmic errors of ``rows['seconds']``."""
    low, high = (np.log([getattr(start, side) for start in starts.values()]) for side in ("low", "high"))
    first = np.clip(np.log([start.value for start in starts.values()]), low + 1e-3, high - 1e-3)

    def errors(x: np.ndarray) -> np.ndarray:
        found = np.log(form(rows, dict(zip(starts, np.exp(x), strict=True))) / rows["seconds"])
        return np.where(np.isfinite(found), found, 9.0)

    best = least_squares(errors, first, bounds=(low, high), loss="soft_l1", f_scale=SCALE, max_nfev=EVALUATIONS)
    return {name: float(f"{value:.4g}") for name, value in zip(starts, np.exp(best.x), strict=True)}


def select(rows: Rows, chosen: np.ndarray) -> Rows:
    return {name: column[chosen] for name, column in rows.items()}


def join(tables: Iterable[Rows]) -> Rows:
    tables = list(tables)
    return {name: np.concatenate([rows[name] for rows in tables]) for name in tables[0]}


def folds(keys: Iterable[Hashable]) -> np.ndarray:
    """Return the fold of each shape, which does not depend on the order of rows."""
    return np.array([int(hashlib.md5(str(key).encode()).hexdigest(), 16) % FOLDS for key in keys])


def leave_shapes_out(form: Form, rows: Rows, starts: Mapping[str, Start]) -> np.ndarray:
    """Return the time of every row, from a fit to the folds without the row's shape."""
    own, found = folds(rows["shape"]), np.zeros(len(rows["seconds"]))
    for fold in range(FOLDS):
        if (own == fold).any():
            coefficients = fit(form, select(rows, own != fold), starts)
            found[own == fold] = form(select(rows, own == fold), coefficients)
    return found


@dataclass(frozen=True)
class Errors:
    """Absolute errors in percent."""

    rows: int
    mean: float
    median: float
    p90: float
    bias: float

    def __str__(self) -> str:
        sizes = f"{self.mean:5.1f} mean {self.median:5.1f} median {self.p90:6.1f} p90 {self.bias:+6.1f} bias"
        return f"{self.rows:5d} rows  {sizes}"


def errors(found: np.ndarray, measured: np.ndarray) -> Errors:
    signed = (found / measured - 1) * 100
    size = np.abs(signed)
    return Errors(len(size), *(float(v) for v in (size.mean(), np.median(size), np.quantile(size, 0.9), signed.mean())))
