"""Attention residuals [moonshot2026k3, Section 2.2]: a layer looks back at what whole blocks of layers have added."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import UnsupportedError
from .functions import rmsnorm, softmax
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """A query, which is the same for all tokens, and a norm."""
    return [vector("norm", layer.d_model, mean=1.0), matrix("w", layer.d_model, ())]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``Σ α_i v_i`` over the sums of earlier blocks and the stream; a block that ends here leaves its sum."""
    if len(step.groups) != layer.n_sums:
        text = f"n_sums is {layer.n_sums}, but {len(step.groups)} blocks have ended before it"
        raise UnsupportedError(text, where="attention_residual")
    looked_at = [*step.groups, x]
    if layer.closes:
        step.groups.append(x)
    if not layer.n_sums:
        return x
    v = np.stack(looked_at, axis=2)
    share = softmax(einsum("bqmd,d->bqm", rmsnorm(v, layer.norm_eps, w.norm), w.w))
    return einsum("bqm,bqmd->bqd", share, v)
