"""LayerNorm [ba2016] and RMSNorm [zhang2019]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import UnsupportedError
from .functions import ACTIVATIONS, normalise, sigmoid, silu
from .grid import merge_patches
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector

INPUT_FIELDS = frozenset({"streams", "merge_extra", "merge_whole", "n_positions", "n_global", "globals_dropped"})


def weights(layer: Any) -> list[Weight]:
    """Return an optional scale and bias, and an optional low-rank gate."""
    found = [vector("w", layer.d_model, mean=0.0 if layer.unit_offset else 1.0)] if layer.scale else []
    found += [vector("b", layer.d_model)] if layer.bias else []
    if layer.gate_rank:
        found += [matrix("gate_in", layer.d_model, layer.gate_rank), matrix("gate_out", layer.gate_rank, layer.d_model)]
    return found


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d] = act(norm(x[b q d]) w[d] + b[d])``, with a norm over the last axis."""
    stream = x
    x = step.previous_stream if layer.concat_previous else x
    x = merge_patches(layer, x, layer.d_model, step)
    step.must_be_latents(layer.sequence.n_latents if layer.sequence else None, x, "norm")
    if x.shape[-1] != layer.d_model:
        raise UnsupportedError(f"d_model is {layer.d_model}, but the input has width {x.shape[-1]}", where="norm")
    scale = w.get("w")
    if layer.unit_offset and scale is not None:
        scale = 1.0 + scale
    if layer.weighted_first:
        x, scale = x * scale, None
    y = normalise(layer.function, x, layer.eps, scale, w.get("b"))
    if layer.gate_rank:
        narrow = silu(einsum("bqd,dr->bqr", y, w.gate_in))
        y = y * sigmoid(einsum("bqr,rd->bqd", narrow, w.gate_out))
    y = ACTIVATIONS[layer.activation](y)
    return np.concatenate([stream, y], axis=-1) if layer.concat_previous else y
