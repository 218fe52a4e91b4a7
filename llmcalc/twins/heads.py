"""Building blocks of multi-head attention: projections, scores, weighted values, and output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import einsum

from .convolution import convolve_heads
from .functions import plus, softmax
from .step import State, extended
from .weights import Array, Weight, Weights, kernel, matrix, vector


def projections(
    names: Sequence[str], width: int, heads: int, d_head: int, *, bias: Sequence[str] | None = None
) -> list[Weight]:
    """Return a projection to heads for each name, and biases for the names in ``bias`` (default: all)."""
    found = [matrix(f"w{name}", width, (heads, d_head)) for name in names]
    return found + [vector(f"b{name}", heads, d_head) for name in (names if bias is None else bias)]


def output(width: int, heads: int, d_head: int) -> list[Weight]:
    """Return the output projection from the heads to the residual stream, with a bias."""
    return [matrix("wo", (heads, d_head), width), vector("bo", width)]


def project(w: Weights, name: str, x: Array) -> Array:
    """Compute queries, keys or values ``x w + b`` [b q h e] from the residual stream [b q d]."""
    return plus(einsum("bqd,dhe->bqhe", x, getattr(w, f"w{name}")), w.get(f"b{name}"))


def dot_products(q: Array, k: Array) -> Array:
    """Compute the dot products of queries and keys [b h q k]."""
    return einsum("bqhe,bkhe->bhqk", q, k)


def distance_scores(q: Array, r: Array, row: Array) -> Array:
    """Return dot products [b h q k] of queries [b q h e] and distance keys [r h e], selected by ``row`` [q k]."""
    return einsum("bqhe,rhe->bhqr", q, r)[:, :, np.arange(q.shape[1])[:, None], row]


def mix(scores: Array, v: Array, hidden: Array | None = None) -> Array:
    """Return the softmax-weighted sums [b q h e] of the values, masking keys by ``hidden`` [q k]."""
    if hidden is not None and hidden.any():
        scores = np.where(hidden, -np.inf, scores)
    return einsum("bhqk,bkhe->bqhe", softmax(scores), v)


def grouped_scores(q: Array, k: Array) -> Array:
    """Return the dot products [b g r q k] of queries [b q h e] and their groups' keys [b k g e]."""
    b, new, h, e = q.shape
    groups = k.shape[2]
    return einsum("bqgre,bkge->bgrqk", q.reshape(b, new, groups, h // groups, e), k)


def grouped_mix(p: Array, v: Array) -> Array:
    """Return the attention-weighted sums [b q h e] of the values [b k g e], given the weights [b g r q k]."""
    b, groups, size, new, _ = p.shape
    return einsum("bgrqk,bkge->bqgre", p, v).reshape(b, new, groups * size, v.shape[3])


def extend_cache(k: Array, v: Array, state: State | None, window: int | None = None) -> tuple[Array, Array]:
    """Return the cached and new keys and values, and cache the ones that the next token needs."""
    k, v = extended(state, window - 1 if window else None, k=k, v=v)
    return k, v


def join(w: Weights, mixed: Array) -> Array:
    """Project the head outputs [b q h e] to the residual stream [b q d]."""
    return plus(einsum("bqhe,hed->bqd", mixed, w.wo), w.get("bo"))


def convolution_weights(layer: Any) -> list[Weight]:
    """Return query, key, value and output projections, and an optional depthwise convolution kernel for the values."""
    sizes = (layer.d_model, layer.n_heads, layer.d_model // layer.n_heads)
    found = [*projections("qkv", *sizes), *output(*sizes)]
    return found + ([kernel("conv", layer.n_heads, layer.d_conv)] if layer.d_conv else [])


def add_value_convolution(layer: Any, w: Weights, mixed: Array, v: Array) -> Array:
    """If the layer has a value convolution, convolve the values along the tokens and add the output to ``mixed``."""
    return mixed + convolve_heads(v, w.conv) if layer.d_conv else mixed
