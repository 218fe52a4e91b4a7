"""A short convolution between two gates, all made of the input, in place of attention (LFM2)."""

from __future__ import annotations

from typing import Any

from numpy import einsum

from .convolution import causal_convolution
from .functions import plus
from .step import State, Step
from .weights import Array, Weight, Weights, kernel, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Three projections, the taps, and the output projection."""
    d = layer.d_model
    found = [matrix(name, d, d) for name in ("w_B", "w_C", "wx", "wo")] + [kernel("conv", d, layer.d_conv)]
    return found + ([vector(name, d) for name in ("b_B", "b_C", "bx", "conv_b", "bo")] if layer.bias else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``y = (C · conv(B · u)) wo``."""
    before = plus(einsum("bqd,di->bqi", x, w.w_B), w.get("b_B"))
    behind = plus(einsum("bqd,di->bqi", x, w.w_C), w.get("b_C"))
    u = before * plus(einsum("bqd,di->bqi", x, w.wx), w.get("bx"))
    u = behind * causal_convolution(u, w.conv, w.get("conv_b"), state, "conv")
    return plus(einsum("bqi,id->bqd", u, w.wo), w.get("bo"))
