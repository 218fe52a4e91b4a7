"""CANINE attention [clark2021, Section 3.2] between the characters of a chunk or between groups of characters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ....twins.heads import dot_products, join, mix, output, project, projections
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights


def weights(layer: Any) -> list[Weight]:
    """Return the query, key, value and output projections with their biases."""
    sizes = (layer.d_model, layer.n_heads, layer.d_model // layer.n_heads)
    return [*projections("qkv", *sizes), *output(*sizes)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(q kᵀ / sqrt(e)) v · wo`` within each chunk or across all positions."""
    step.must_be_whole(layer.kind())
    q, k, v = (project(w, name, x) for name in "qkv")
    length = layer.chunk if layer.chunk and layer.merge == 1 else x.shape[1]
    found = []
    for first in range(0, x.shape[1], length):
        part = slice(first, first + length)
        scores = dot_products(q[:, part], k[:, part]) / math.sqrt(q.shape[-1])
        found.append(mix(scores, v[:, part]))
    return join(w, np.concatenate(found, axis=1))
