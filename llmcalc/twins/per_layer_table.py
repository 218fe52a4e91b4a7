"""Per-layer embedding table (Gemma 3n), with one additional embedding for each token in each layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from .functions import rmsnorm
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Return the embedding table, a projection of the token embeddings, and a norm."""
    wide = (layer.n_layers, layer.d_layer)
    found = [Weight("w", ((layer.rows,), wide)), matrix("project", layer.d_model, wide)]
    return [*found, vector("norm", layer.d_layer, mean=1.0)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d] = x[b q d]``, and store the embeddings ``[b q l]`` of each layer in ``step.layer_inputs``."""
    found = w.w[np.where(step.ids < layer.rows, step.ids, 0)] * math.sqrt(layer.d_layer)  # [b q layers l]
    projected = einsum("bqd,dnl->bqnl", x, w.project) / math.sqrt(layer.d_model)
    inputs = (rmsnorm(projected, layer.norm_eps, w.norm) + found) / math.sqrt(2.0)
    step.layer_inputs.extend(inputs[:, :, number] for number in range(layer.n_layers))
    return x
