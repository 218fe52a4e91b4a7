"""ALiBi [press2021]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..step import Step, distances
from ..weights import Array, Weight, Weights


def weights(layer: Any) -> list[Weight]:
    """Return no weights, since the slopes are constant."""
    return []


def scores(layer: Any, w: Weights, q: Array, step: Step, keys: int) -> Array:
    """Return the penalties [g r q k], which are proportional to the distance."""
    found = -layer.score_bias.scale * slopes(layer.n_heads)[:, None, None] * np.abs(distances(step, keys))
    return found.reshape(*q.shape[2:4], *found.shape[1:])


def slopes(n_heads: int) -> Array:
    """Return ALiBi slopes, adding slopes of the next power of two if the number of heads is not a power of two."""
    power = 2 ** math.floor(math.log2(n_heads))
    found = 2.0 ** (-8.0 / power * np.arange(1, power + 1))
    further = 2.0 ** (-4.0 / power * np.arange(1, 2 * (n_heads - power), 2))
    return np.concatenate([found, further])
