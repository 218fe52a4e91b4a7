"""Attention within squares of an image [kirillov2023], with biases of rows and of columns [li2022]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.functions import softmax
from ....twins.heads import join, output, project, projections, scores
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, table


def weights(layer: Any) -> list[Weight]:
    """Projections, and a vector for each distance along rows and along columns, which all heads share."""
    d, h = layer.d_model, layer.n_heads
    found = [*projections("qkv", d, h, d // h, bias="qkv" if layer.bias else ""), *output(d, h, d // h)]
    distances = 2 * _side(layer) - 1
    return found + ([table(name, distances, d // h) for name in ("rows", "columns")] if layer.relative else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``softmax(q kᵀ / sqrt(e) + q rᵀ + q cᵀ) v · wo`` within each square of patches [b q d]."""
    step.must_be_whole(layer.kind())
    if step.grid != (layer.grid, layer.grid) or step.prompt:
        raise UnsupportedError(f"it runs on {layer.grid} by {layer.grid} patches alone", where="grid_attention")
    squares = _squares(layer, x)
    q, k, v = (project(w, name, squares) for name in "qkv")
    met = scores(q, k) * (1 / math.sqrt(layer.d_model // layer.n_heads))
    if layer.relative:
        met = met + _by_distance(_side(layer), w, q)
    y = join(w, einsum("bhqk,bkhe->bqhe", softmax(met), v))
    return _row_by_row(layer, y, x.shape[0])


def _side(layer: Any) -> int:
    return int(layer.window or layer.grid)


def _squares(layer: Any, x: Array) -> Array:
    """``x`` [b q d] as squares [b·n s² d]; zeros fill those at the right and at the bottom, and are looked at too."""
    side, (b, _, d) = _side(layer), x.shape
    missing = -layer.grid % side
    image = x.reshape(b, layer.grid, layer.grid, d)
    if missing:
        image = np.concatenate([image, np.zeros((b, missing, layer.grid, d))], axis=1)
        image = np.concatenate([image, np.zeros((b, layer.grid + missing, missing, d))], axis=2)
    many = image.shape[1] // side
    apart = image.reshape(b, many, side, many, side, d)
    return np.transpose(apart, (0, 1, 3, 2, 4, 5)).reshape(-1, side * side, d)


def _row_by_row(layer: Any, y: Array, texts: int) -> Array:
    """Squares back in their image [b q d], without what was filled up."""
    side, d = _side(layer), y.shape[-1]
    many = -(-layer.grid // side)
    apart = y.reshape(texts, many, many, side, side, d)
    image = np.transpose(apart, (0, 1, 3, 2, 4, 5)).reshape(texts, many * side, many * side, d)
    return image[:, : layer.grid, : layer.grid].reshape(texts, -1, d)


def _by_distance(side: int, w: Weights, q: Array) -> Array:
    """Queries [n s² h e] against the vectors of their distances from each row and each column [n h s² s²]."""
    place = np.arange(side)
    distance = place[:, None] - place + side - 1
    n, _, h, e = q.shape
    asked = q.reshape(n, side, side, h, e)
    by_row = einsum("nijhe,ike->nhijk", asked, w.rows[distance])
    by_column = einsum("nijhe,jke->nhijk", asked, w.columns[distance])
    return (by_row[..., :, None] + by_column[..., None, :]).reshape(n, h, side * side, side * side)
