"""Bidirectional attention with projected sinusoidal relative positions [dai2019, Section 3.3; gulati2020]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....twins.embedding import sinusoids
from ....twins.heads import distance_scores, dot_products, join, mix, project, projections
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, table, vector


def weights(layer: Any) -> list[Weight]:
    """Return the token, distance and output projections, and the query biases for content and position scores."""
    d, h, e = layer.d_model, layer.n_heads, layer.d_head
    found = [*projections("qkvr", d, h, e, bias="qkv" if layer.bias else ""), matrix("wo", (h, e), d)]
    return [*found, *([vector("bo", d)] if layer.bias else []), table("u", h, e), table("w", h, e)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(((q + u) kᵀ + (q + w) rᵀ) / sqrt(e)) v · wo``, where r are distance keys [2q-1 h e]."""
    step.must_be_whole(layer.kind())
    q, k, v = (project(w, name, x) for name in "qkv")
    place = np.arange(x.shape[1])
    r = einsum("rd,dhe->rhe", sinusoids(np.arange(-place[-1], len(place)), layer.d_model), w.wr)
    row = place[:, None] - place + place[-1]  # [q k]; the distance of the farthest later token comes first
    scores = dot_products(q + w.u, k) + distance_scores(q + w.w, r, row)
    return join(w, mix(scores / math.sqrt(layer.d_head), v))
