"""RWKV channel mixing [peng2023, Section 3.1], a feed-forward layer with a receptance gate."""

from __future__ import annotations

from typing import Any

from numpy import einsum

from .functions import relu2, sigmoid
from .rwkv_time_mix import previous_tokens, toward
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Return the key (up), value (down) and receptance projections, and the mixing vectors."""
    d, f = layer.d_model, layer.d_ff
    return [vector("mix_k", d), vector("mix_r", d), matrix("wk", d, f), matrix("wv", f, d), matrix("wr", d, d)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d] = sigmoid(xr wr) · (relu²(xk wk) wv)``, where xr and xk mix ``x[b q d]`` with the
    token before.
    """
    before = previous_tokens(x, state)
    k = relu2(einsum("bqd,df->bqf", toward(x, before, 1.0 - w.mix_k), w.wk))
    r = sigmoid(einsum("bqd,de->bqe", toward(x, before, 1.0 - w.mix_r), w.wr))
    return r * einsum("bqf,fd->bqd", k, w.wv)
