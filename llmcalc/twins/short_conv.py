"""A gated short convolution that mixes tokens (LFM2)."""

from __future__ import annotations

from typing import Any

from numpy import einsum

from .convolution import causal_convolution
from .functions import plus
from .step import State, Step
from .weights import Array, Weight, Weights, kernel, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Return three input projections, a convolution kernel, and an output projection."""
    d = layer.d_model
    found = [matrix(name, d, d) for name in ("w_B", "w_C", "wx", "wo")] + [kernel("conv", d, layer.d_conv)]
    return found + ([vector(name, d) for name in ("b_B", "b_C", "bx", "conv_b", "bo")] if layer.bias else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d] = (C · conv(B · u)) wo``, where B, C and u are projections of ``x[b q d]``."""
    input_gate = plus(einsum("bqd,di->bqi", x, w.w_B), w.get("b_B"))
    output_gate = plus(einsum("bqd,di->bqi", x, w.w_C), w.get("b_C"))
    u = input_gate * plus(einsum("bqd,di->bqi", x, w.wx), w.get("bx"))
    u = output_gate * causal_convolution(u, w.conv, w.get("conv_b"), state, "conv")
    return plus(einsum("bqi,id->bqd", u, w.wo), w.get("bo"))
