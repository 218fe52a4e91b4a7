"""Buckets of distances [raffel2019] and scales that grow with the position."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .weights import Array


def temperature(part: Any, positions: Array) -> Array:
    """Return scale factors [q 1 1] that grow with the query position [nakanishi2025]."""
    stretches = (positions + part.start) / part.length
    if part.law == "power":
        found: Array = (1 + stretches) ** part.rate
    else:
        found = 1 + part.rate * np.log1p(np.floor(stretches))
    return found[:, None, None]


def growth(scale: Array, shift: Array, positions: Array) -> Array:
    """Compute ``scale · log(position + 1) + shift`` [q h 1], where scale and shift are learned per head."""
    return (np.log(positions + 1.0)[:, None] * scale + shift)[..., None]


def buckets(count: int, most: int, ahead: Array, *, causal: bool) -> Array:
    """Return each distance's T5 bucket. Buckets are exact for nearby keys and logarithmic up to distance ``most``.

    ``ahead`` [q k] is the key position minus the query position. Unless ``causal``, each side has half the buckets.
    """
    start: Array = 0
    if causal:
        distance = np.maximum(-ahead, 0)
    else:
        count //= 2
        start, distance = np.where(ahead > 0, count, 0), np.abs(ahead)
    exact = count // 2
    far = np.log(np.maximum(distance, 1) / exact) / math.log(most / exact) * (count - exact)
    shared = np.minimum(exact + far.astype(int), count - 1)
    return start + np.where(distance < exact, distance, shared)
