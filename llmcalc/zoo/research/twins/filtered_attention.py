"""Localized filtering-based attention [wu2023yuan, Section 2.1]: queries and keys of filtered tokens."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....twins.convolution import valid_windows
from ....twins.functions import operation, rmsnorm
from ....twins.heads import dot_products, extend_cache, join, mix, project
from ....twins.rope import rotate
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, table, vector

TAPS = 2
REORDERS_SUMS = True  # the second convolution reads windows of the first one


def weights(layer: Any) -> list[Weight]:
    """Return both kernels with their biases, the norm, and the query, key, value and output projections."""
    d, heads = layer.d_model, (layer.n_heads, layer.d_model // layer.n_heads)
    found = [table("conv_in", d // 2, d, TAPS), vector("conv_in_b", d // 2)]
    found += [table("conv_out", d, d // 2, TAPS), vector("conv_out_b", d), vector("norm", d, mean=1.0)]
    return [*found, *(matrix(f"w{name}", d, heads) for name in "qkv"), matrix("wo", heads, d)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute causal attention with the queries and keys of the filtered tokens and the values of the tokens."""
    filtered = rmsnorm(_filter(w, x, state) + x, layer.norm_eps, w.norm)
    q, k = (rotate(layer.rope, project(w, n, filtered), step.positions, layer.rope.dim) for n in "qk")
    k, v = extend_cache(k, project(w, "v", x), state)
    hidden = step.positions[:, None] < np.arange(step.cached + x.shape[1])[-k.shape[1] :]
    return join(w, mix(dot_products(q, k) / math.sqrt(q.shape[3]), v, hidden))


def _filter(w: Weights, x: Array, state: State | None) -> Array:
    """Apply both causal convolutions to ``x`` [b q d], and cache the inputs of the next token."""
    b, q, d = x.shape
    past = state["filter"] if state and "filter" in state else None
    known = np.zeros((b, 2 * (TAPS - 1), d)) if past is None else past
    whole = np.concatenate([known, x], axis=1)
    if state is not None:
        state["filter"] = whole[:, q:]
    if past is not None:
        return _convolve(_convolve(whole, w.conv_in) + w.conv_in_b, w.conv_out) + w.conv_out_b
    inner = _convolve(whole[:, TAPS - 1 :], w.conv_in) + w.conv_in_b
    rows = np.zeros((b, TAPS - 1, inner.shape[2]))
    return _convolve(np.concatenate([rows, inner], axis=1), w.conv_out) + w.conv_out_b


@operation
def _convolve(x: Array, taps: Array) -> Array:
    """Convolve ``x`` [b n i] with a dense kernel [o i k], without padding."""
    return einsum("bqik,oik->bqo", valid_windows(x, taps.shape[-1]), taps)
