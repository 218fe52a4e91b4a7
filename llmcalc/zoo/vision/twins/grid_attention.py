"""Attention within square windows of an image [kirillov2023], with row and column biases [li2022]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.heads import dot_products, join, mix, output, project, projections
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, table


def weights(layer: Any) -> list[Weight]:
    """Return the projections, and the row and column distance vectors shared by all heads."""
    d, h, e = layer.d_model, layer.n_heads, layer.d_model // layer.n_heads
    found = [*projections("qkv", d, h, e, bias="qkv" if layer.bias else ""), *output(d, h, e)]
    distances = 2 * _window_side(layer) - 1
    return found + ([table(name, distances, e) for name in ("rows", "columns")] if layer.relative else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(q kᵀ / sqrt(e) + q rᵀ + q cᵀ) v · wo`` for patches ``x`` [b q d] within each window."""
    step.must_be_whole(layer.kind())
    if step.grid != (layer.grid, layer.grid) or step.prompt:
        raise UnsupportedError(
            f"the input must be a {layer.grid} × {layer.grid} grid of patches", where="grid_attention"
        )
    windows = _split_windows(layer, x)
    q, k, v = (project(w, name, windows) for name in "qkv")
    scores = dot_products(q, k) * (1 / math.sqrt(layer.d_model // layer.n_heads))
    if layer.relative:
        scores = scores + _position_bias(_window_side(layer), w, q)
    return _join_windows(layer, join(w, mix(scores, v)), x.shape[0])


def _window_side(layer: Any) -> int:
    return int(layer.window or layer.grid)


def _split_windows(layer: Any, x: Array) -> Array:
    """Split ``x`` [b q d] into windows [b·n s² d], with unmasked zero padding on the right and at the bottom."""
    side, (b, _, d) = _window_side(layer), x.shape
    missing = -layer.grid % side
    image = x.reshape(b, layer.grid, layer.grid, d)
    if missing:
        image = np.concatenate([image, np.zeros((b, missing, layer.grid, d))], axis=1)
        image = np.concatenate([image, np.zeros((b, layer.grid + missing, missing, d))], axis=2)
    windows = image.reshape(b, image.shape[1] // side, side, -1, side, d)
    return np.transpose(windows, (0, 1, 3, 2, 4, 5)).reshape(-1, side * side, d)


def _join_windows(layer: Any, y: Array, batch: int) -> Array:
    """Undo ``_split_windows``, and return the patches [b q d] in row-major order without padding."""
    side, d = _window_side(layer), y.shape[-1]
    count = -(-layer.grid // side)
    image = np.transpose(y.reshape(batch, count, count, side, side, d), (0, 1, 3, 2, 4, 5))
    image = image.reshape(batch, count * side, count * side, d)
    return image[:, : layer.grid, : layer.grid].reshape(batch, -1, d)


def _position_bias(side: int, w: Weights, q: Array) -> Array:
    """Return the dot products [n h s² s²] of queries [n s² h e] and the row and column distance vectors."""
    place = np.arange(side)
    distance = place[:, None] - place + side - 1
    n, _, h, e = q.shape
    queries = q.reshape(n, side, side, h, e)
    by_row = einsum("nijhe,ike->nhijk", queries, w.rows[distance])
    by_column = einsum("nijhe,jke->nhijk", queries, w.columns[distance])
    return (by_row[..., :, None] + by_column[..., None, :]).reshape(n, h, side * side, side * side)
