"""Attention with biases by how far apart two tokens stand in the text and on the page [xu2020, Section 2.1]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ....twins import attention
from ....twins.position_biases import buckets
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix


def weights(layer: Any) -> list[Weight]:
    """Those of attention, and tables of biases that all layers of a stack share."""
    rows = {"distance_bias": layer.distance_buckets, "across_bias": layer.box_buckets, "down_bias": layer.box_buckets}
    tables = [matrix(name, count, layer.n_heads)._replace(share=f".{name}") for name, count in rows.items() if count]
    return [*attention.weights(layer), *tables]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``softmax(q kᵀ · scale + bias) v · wo``; left edges tell how far apart across, lower ones how far down."""
    step.must_be_whole(layer.kind())
    x = attention.prepare_input(layer, x, step)
    scores, v, q = attention.attention_scores(layer, w, x, step, state)
    factor = 1 / math.sqrt(layer.d_head) if layer.bias_scaled else 1.0
    places = {"distance_bias": np.broadcast_to(step.positions, step.ids.shape)}
    boxes = np.zeros((*step.ids.shape, 4), int) if step.boxes is None else step.boxes
    places |= {"across_bias": boxes[..., 0], "down_bias": boxes[..., 3]}
    for name, place in places.items():
        rows = w.get(name)
        if rows is not None:
            scores = scores + factor * _bias(layer, rows, place, name).reshape(scores.shape)
    mixed = attention.mix(layer, w, scores, v, q, step)
    return attention.project_output(layer, w, x, mixed.reshape(*x.shape[:2], layer.n_heads, v.shape[3]))


def _bias(layer: Any, rows: Array, place: Array, name: str) -> Array:
    """The entry of every pair of tokens [b h q k], by how much farther the key stands."""
    ahead = place[:, None, :] - place[:, :, None]
    count, most = (
        (layer.distance_buckets, layer.distance_most)
        if name == "distance_bias"
        else (layer.box_buckets, layer.box_most)
    )
    return np.transpose(rows[buckets(count, most, ahead, causal=False)], (0, 3, 1, 2))
