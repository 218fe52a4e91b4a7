"""Attention of a few vectors to the patches of an image, as in resamplers [alayrac2022, Section 3.1.1]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins import grid
from ....twins.functions import plus, rmsnorm, softmax
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Projections of what asks and of what is looked at, maybe of another width, and of the result."""
    h, g, e, source = layer.n_heads, layer.n_kv_heads, layer.d_head, layer.d_source
    found = [vector("source_norm", source, mean=1.0)] if layer.source_norm else []
    found += [matrix("wq", layer.d_model, (h, e)), matrix("wk", source, (g, e)), matrix("wv", source, (g, e))]
    found += [matrix("wo", (h, e), layer.d_out)]
    found += [vector("bq", h, e), vector("bk", g, e), vector("bv", g, e)] if layer.bias else []
    return [*found, vector("bo", layer.d_out)] if layer.o_bias else found


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``softmax(q kᵀ / sqrt(e)) v · wo`` [b n o] of the vectors that ask, ``x`` or means of its groups."""
    step.must_be_whole(layer.kind())
    if layer.pooled:
        return _of_groups(layer, w, x, step)
    if x.shape[1:] != (layer.n_queries, layer.d_model):
        raise UnsupportedError(f"it is not {layer.n_queries} learned vectors that it gets", where=layer.kind())
    return _attended(layer, w, x, _source(layer, w, x, step))


def _of_groups(layer: Any, w: Weights, x: Array, step: Step) -> Array:
    """One vector for each square of patches, the mean of which asks them [b n/pooled o]."""
    groups = grid.merge_squares(x, step, layer.pooled)  # [b·n p d]
    y = _attended(layer, w, np.mean(groups, axis=1, keepdims=True), groups)
    return y.reshape(x.shape[0], -1, layer.d_out)


def _source(layer: Any, w: Weights, x: Array, step: Step) -> Array:
    """What the vectors look at [b k s]: tokens, themselves, or both."""
    if layer.sees == "themselves":
        return x
    tokens = step.source
    if tokens is None or tokens.shape[-1] != layer.d_source:
        raise UnsupportedError(f"there are no patches of width {layer.d_source} to look at", where=layer.kind())
    tokens = rmsnorm(tokens, layer.norm_eps, w.source_norm) if layer.source_norm else tokens
    return np.concatenate([tokens, x], axis=1) if layer.sees == "both" else tokens


def _attended(layer: Any, w: Weights, x: Array, source: Array) -> Array:
    """Attention of ``x`` [b n d] to ``source`` [b k s]; each key head serves several query heads."""
    q, k, v = (
        plus(einsum("bqd,dhe->bqhe", part, getattr(w, f"w{name}")), w.get(f"b{name}"))
        for name, part in (("q", x), ("k", source), ("v", source))
    )
    b, n, h, e = q.shape
    grouped = q.reshape(b, n, layer.n_kv_heads, -1, e)
    p = softmax(einsum("bqgre,bkge->bgrqk", grouped, k) * (1 / math.sqrt(e)))
    mixed = einsum("bgrqk,bkge->bqgre", p, v).reshape(b, n, h, e)
    return plus(einsum("bqhe,heo->bqo", mixed, w.wo), w.get("bo"))
