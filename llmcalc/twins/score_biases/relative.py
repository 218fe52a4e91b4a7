"""T5's learned biases for buckets of distances [raffel2019, Section 2.1]."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..positions import buckets
from ..step import Step, distances
from ..weights import Array, Weight, Weights, table


def weights(layer: Any) -> list[Weight]:
    """Return the bias table [buckets heads]. In T5, all layers of a stack share this table."""
    bias = layer.score_bias
    return [table("relative_bias", bias.n_buckets, layer.n_heads, share=".relative_bias" if bias.shared else None)]


def scores(layer: Any, w: Weights, q: Array, step: Step, keys: int) -> Array:
    """Return the biases [g r q k] of the bucket of each distance."""
    bias = layer.score_bias
    bucket = buckets(bias.n_buckets, bias.max_distance, -distances(step, keys), causal=layer.causal)
    return np.transpose(w.relative_bias[bucket], (2, 0, 1)).reshape(*q.shape[2:4], *bucket.shape)
