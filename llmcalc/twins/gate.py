"""Gate on the outputs of attention heads, computed from the input of the layer."""

from __future__ import annotations

from typing import Any

from numpy import einsum

from .functions import ACTIVATIONS, plus
from .weights import Array, Weight, Weights, matrix, vector


def shape(layer: Any) -> tuple[int, ...]:
    """Return the gate shape for one token."""
    return (layer.n_heads,) if layer.gate.per_head else (layer.n_heads, layer.d_head_v)


def weights(layer: Any, d_in: int) -> list[Weight]:
    """Return the gate projection of an input of width ``d_in``, and its bias."""
    if not layer.gate:
        return []
    biases = {"value": (layer.n_heads, layer.d_head_v), "head": (layer.n_heads,)}
    found = [matrix("wgate", d_in, shape(layer))]
    return found + ([vector("bgate", *biases[layer.gate.bias])] if layer.gate.bias in biases else [])


def apply_gate(gate: Any, w: Weights, x: Array, mixed: Array, scale: Array | None = None) -> Array:
    """Multiply head outputs [b q h v] by a gate computed from ``x`` [b q d]."""
    if not gate:
        return mixed
    bias = w.get("bgate")
    if bias is not None and gate.bias == "head" and not gate.per_head:
        bias = bias[:, None]
    found = plus(einsum("bqd,dh->bqh" if gate.per_head else "bqd,dhv->bqhv", x, w.wgate), bias)
    found = ACTIVATIONS[gate.function](found if scale is None else found * scale)
    return mixed * (found[..., None] if gate.per_head else found)
