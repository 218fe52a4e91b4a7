"""Attention from a few query vectors to image patches, as in resamplers [alayrac2022, Section 3.1.1]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ....core.errors import UnsupportedError
from ....twins import grid
from ....twins.functions import rmsnorm, softmax
from ....twins.heads import grouped_mix, grouped_scores, join, project, projections
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Return the optional patch norm and the query, key, value and output projections."""
    h, e, source = layer.n_heads, layer.d_head, layer.d_source
    found = [vector("source_norm", source, mean=1.0)] if layer.source_norm else []
    found += projections("q", layer.d_model, h, e, bias="q" if layer.bias else "")
    found += projections("kv", source, layer.n_kv_heads, e, bias="kv" if layer.bias else "")
    return [*found, matrix("wo", (h, e), layer.d_out), *([vector("bo", layer.d_out)] if layer.o_bias else [])]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(q kᵀ / sqrt(e)) v · wo`` [b n o] for the queries ``x`` or for the means of patch groups."""
    step.must_be_whole(layer.kind())
    if layer.pooled:
        groups = grid.merge_squares(x, step, layer.pooled)  # [b·n p d]
        y = _attend(w, np.mean(groups, axis=1, keepdims=True), groups)
        return y.reshape(x.shape[0], -1, layer.d_out)
    if x.shape[1:] != (layer.n_queries, layer.d_model):
        text = f"the input must be {layer.n_queries} queries of width {layer.d_model}"
        raise UnsupportedError(text, where=layer.kind())
    return _attend(w, x, _source(layer, w, x, step))


def _source(layer: Any, w: Weights, x: Array, step: Step) -> Array:
    """Return the vectors [b k s] that queries attend to, taken from the patches, the queries, or both."""
    if layer.sees == "themselves":
        return x
    tokens = step.source
    if tokens is None or tokens.shape[-1] != layer.d_source:
        raise UnsupportedError(f"missing patches of width {layer.d_source}", where=layer.kind())
    tokens = rmsnorm(tokens, layer.norm_eps, w.source_norm) if layer.source_norm else tokens
    return np.concatenate([tokens, x], axis=1) if layer.sees == "both" else tokens


def _attend(w: Weights, x: Array, source: Array) -> Array:
    """Apply grouped-query attention from ``x`` [b n d] to ``source`` [b k s]."""
    q, k, v = project(w, "q", x), project(w, "k", source), project(w, "v", source)
    p = softmax(grouped_scores(q, k) * (1 / math.sqrt(q.shape[3])))
    return join(w, grouped_mix(p, v))
