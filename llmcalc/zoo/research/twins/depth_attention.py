"""Attention over depth (Inkling 2). Each layer mixes the summed outputs of earlier layer groups."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.functions import rmsnorm, softmax
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, table, vector


def weights(layer: Any) -> list[Weight]:
    """Return the learned queries."""
    d = layer.d_model
    return [table("query", layer.n_reads, d) if layer.n_reads > 1 else vector("query", d)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Return a mix [b q d] of the earlier group sums and the current sum ``x``, or n mixes [b q n d] for n queries."""
    if layer.closes:
        *_, last, _ = step.sublayer_inputs.values()  # the inputs of the preceding sub-layer and of this one
        step.block_sums.append(last)
    if len(step.block_sums) + 1 != layer.n_states:
        text = f"n_states is {layer.n_states}; {len(step.block_sums)} earlier groups and the current one are available"
        raise UnsupportedError(text, where="depth_attention")
    z = rmsnorm(np.stack([*step.block_sums, x], axis=2), layer.norm_eps)
    scale = 1 / math.sqrt(layer.d_model)
    if layer.n_reads == 1:
        return einsum("bqz,bqzd->bqd", softmax(einsum("bqzd,d->bqz", z, w.query) * scale), z)
    return einsum("bqnz,bqzd->bqnd", softmax(einsum("bqzd,nd->bqnz", z, w.query) * scale), z)
