"""Sliding-window encoder attention [beltagy2020, Section 3.1], computed with a mask over all pairs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ....twins.heads import dot_products, join, mix, output, project, projections
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights


def weights(layer: Any) -> list[Weight]:
    """Return the local and global projections. Without global tokens, the global projections are unused."""
    sizes = (layer.d_model, layer.n_heads, layer.d_model // layer.n_heads)
    return [*projections("qkv", *sizes), *projections(("q_global", "k_global", "v_global"), *sizes), *output(*sizes)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(q kᵀ / sqrt(e)) v · wo`` over tokens at most half a window away."""
    step.must_be_whole(layer.kind())
    q, k, v = (project(w, name, x) for name in "qkv")
    distance = np.abs(step.positions[:, None] - step.positions)
    scores = dot_products(q, k) / math.sqrt(layer.d_model // layer.n_heads)
    return join(w, mix(scores, v, hidden=distance > layer.window // 2))
