"""Attention with relative position biases for text order and page layout [xu2020, Section 2.1]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ....twins import attention
from ....twins.positions import buckets
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix


def weights(layer: Any) -> list[Weight]:
    """Return the attention weights, and bias tables shared by all layers of a stack."""
    rows = {"distance_bias": layer.distance_buckets, "across_bias": layer.box_buckets, "down_bias": layer.box_buckets}
    tables = [matrix(name, count, layer.n_heads)._replace(share=f".{name}") for name, count in rows.items() if count]
    return [*attention.weights(layer), *tables]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(q kᵀ · scale + bias) v · wo``, adding biases for text, left-edge and lower-edge distances."""
    step.must_be_whole(layer.kind())
    factor = 1 / math.sqrt(layer.d_head) if layer.bias_scaled else 1.0
    boxes = np.zeros((*step.ids.shape, 4), int) if step.boxes is None else step.boxes
    positions = {"distance_bias": np.broadcast_to(step.positions, step.ids.shape)}
    positions |= {"across_bias": boxes[..., 0], "down_bias": boxes[..., 3]}

    def add_biases(scores: Array, v: Array, q: Array) -> Array:
        for name, position in positions.items():
            rows = w.get(name)
            if rows is not None:
                scores = scores + factor * _bias(layer, rows, position, name).reshape(scores.shape)
        return scores

    return attention.forward(layer, w, x, step, state, add_biases)


def _bias(layer: Any, rows: Array, position: Array, name: str) -> Array:
    """Look up the biases [b h q k] of all token pairs by the difference between key and query positions."""
    ahead = position[:, None, :] - position[:, :, None]
    by_text = (layer.distance_buckets, layer.distance_most)
    count, most = by_text if name == "distance_bias" else (layer.box_buckets, layer.box_most)
    return np.transpose(rows[buckets(count, most, ahead, causal=False)], (0, 3, 1, 2))
