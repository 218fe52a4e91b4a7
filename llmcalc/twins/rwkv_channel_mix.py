"""RWKV's channel mixing [peng2023, Section 3.1]: a feed-forward layer with a receptance gate."""

from __future__ import annotations

from typing import Any

from numpy import einsum

from .functions import ACTIVATIONS, sigmoid
from .rwkv_time_mix import mixed, shifted
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Key and value as up- and down-projection, and the receptance."""
    d, f = layer.d_model, layer.d_ff
    return [vector("mix_k", d), vector("mix_r", d), matrix("wk", d, f), matrix("wv", f, d), matrix("wr", d, d)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``sigmoid(xr wr) · (relu²(xk wk) wv)``."""
    before = shifted(x, state)
    k = ACTIVATIONS["relu2"](einsum("bqd,df->bqf", mixed(x, before, w.mix_k), w.wk))
    r = sigmoid(einsum("bqd,de->bqe", mixed(x, before, w.mix_r), w.wr))
    return r * einsum("bqf,fd->bqd", k, w.wv)
