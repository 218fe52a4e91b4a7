"""Transformer-XL's products of queries and projected sinusoids of the distance [dai2019, Section 3.3]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ..embedding import sinusoids
from ..step import Step, distances
from ..weights import Array, Weight, Weights, matrix

BEFORE_SCALING = True


def weights(layer: Any) -> list[Weight]:
    """Return the projection of the sinusoids."""
    return [matrix("wr", layer.d_model, (layer.n_heads, layer.d_head))]


def scores(layer: Any, w: Weights, q: Array, step: Step, keys: int) -> Array:
    """Return the products [b g r q k]."""
    places = einsum("kd,dhe->khe", sinusoids(np.arange(keys), layer.d_model), w.wr)
    _, new, g, served, e = q.shape
    products = einsum("bqgre,kgre->bgrqk", q, places.reshape(keys, g, served, e))
    distance = np.maximum(distances(step, keys), 0)  # later keys are masked anyway
    return products[:, :, :, np.arange(new)[:, None], distance]
