"""Attention residuals [moonshot2026k3, Section 2.2]: attention over the summed outputs of earlier blocks of layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import UnsupportedError
from .functions import rmsnorm, softmax
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """A query, the same for all tokens, and a norm."""
    return [vector("norm", layer.d_model, mean=1.0), matrix("w", layer.d_model, ())]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``Σ α_i v_i`` over the sums of earlier blocks and the stream; at the end of a block, also stores its sum."""
    if len(step.block_sums) != layer.n_sums:
        text = f"n_sums is {layer.n_sums}, but {len(step.block_sums)} blocks end before this layer"
        raise UnsupportedError(text, where="attention_residual")
    values = [*step.block_sums, x]
    if layer.closes:
        step.block_sums.append(x)
    if not layer.n_sums:
        return x
    v = np.stack(values, axis=2)
    share = softmax(einsum("bqmd,d->bqm", rmsnorm(v, layer.norm_eps, w.norm), w.w))
    return einsum("bqm,bqmd->bqd", share, v)
