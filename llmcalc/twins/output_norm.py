"""Norm of the head outputs, either of each head before the gate or of all heads after the gate."""

from __future__ import annotations

from typing import Any

from . import functions
from .weights import Array, Weight, Weights, vector


def weights(layer: Any) -> list[Weight]:
    """Return the scale and, for LayerNorm, the bias of the norm over all heads."""
    norm, shape = layer.o_norm, (layer.n_heads, layer.d_head_v)
    if not norm or norm.over == "head":
        return []
    return [vector("o_norm", *shape, mean=1.0), *[vector("o_norm_b", *shape)] * (norm.function == "layernorm")]


def normalise(norm: Any, over: str, w: Weights, mixed: Array) -> Array:
    """Normalise head outputs [b q h v] if the norm applies to ``over``, which is ``head`` or ``projection``."""
    if not norm or norm.over != over:
        return mixed
    if over == "head":
        return functions.rmsnorm(mixed, norm.eps)
    flat, bias = mixed.reshape(*mixed.shape[:2], -1), w.get("o_norm_b")
    bias = None if bias is None else bias.reshape(-1)
    return functions.normalise(norm.function, flat, norm.eps, w.o_norm.reshape(-1), bias).reshape(mixed.shape)
