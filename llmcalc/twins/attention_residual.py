"""Attention residuals [moonshot2026k3, Section 2.2] that attend to the summed outputs of earlier layer groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import UnsupportedError
from .functions import rmsnorm, softmax
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Return a norm, and a query vector shared by all tokens."""
    return [vector("norm", layer.d_model, mean=1.0), matrix("w", layer.d_model, ())]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d] = Σ α_i v_i[b q d]`` over the group sums and the stream ``x[b q d]``. At the end of a group,
    store the group's sum.
    """
    if len(step.block_sums) != layer.n_sums:
        text = f"n_sums is {layer.n_sums}, but {len(step.block_sums)} groups end before this layer"
        raise UnsupportedError(text, where="attention_residual")
    values = [*step.block_sums, x]
    if layer.closes:
        step.block_sums.append(x)
    if not layer.n_sums:
        return x
    v = np.stack(values, axis=2)
    share = softmax(einsum("bqmd,d->bqm", rmsnorm(v, layer.norm_eps, w.norm), w.w))
    return einsum("bqm,bqmd->bqd", share, v)
