"""Attention with relative positions and a memory of hidden states [dai2019, Section 3.3; yang2019]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....twins.embedding import sines_and_cosines
from ....twins.heads import distance_scores, dot_products, mix
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, table


def weights(layer: Any) -> list[Weight]:
    """Return the token and distance projections, the query biases, and the optional segment pair vectors."""
    d, h = layer.d_model, layer.n_heads
    e = d // h
    found = [table(name, d, h, e) for name in ("wq", "wk", "wv", "wo", "wr")]
    found += [table("u", h, e), table("w", h, e)]
    if layer.n_segments:
        found += [table("segment_bias", h, e), table("segment", layer.n_segments, h, e)]
    return found


def is_stepwise(layer: Any) -> bool:
    """Return whether decoding matches a single pass. A match requires causal attention and unlimited memory."""
    return bool(layer.causal and not layer.memory)


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(((q + u) kᵀ + (q + w) rᵀ) / sqrt(e)) v · wo`` from projected distance sinusoids ``r``."""
    seen = _extend_memory(layer, x, state)
    q, k, v = (einsum("bqd,dhe->bqhe", *pair) for pair in ((x, w.wq), (seen, w.wk), (seen, w.wv)))
    new, keys = x.shape[1], seen.shape[1]
    distance = np.arange(keys - new, keys)[:, None] - np.arange(keys)  # [q k]; negative: the key is later
    scores = dot_products(q + w.u, k) + _sinusoid_scores(layer, w, q + w.w, distance)
    if step.segments is not None and layer.n_segments:
        scores = scores + _segment_scores(w, q, step.segments, keys)
    hidden = distance < 0 if layer.causal else None
    mixed = mix(scores / math.sqrt(layer.d_model // layer.n_heads), v, hidden)
    return einsum("bqhe,dhe->bqd", mixed, w.wo)


def _extend_memory(layer: Any, x: Array, state: State | None) -> Array:
    """Return the cached inputs followed by the new inputs ``x``, and cache the most recent inputs."""
    seen = np.concatenate([state["memory"], x], axis=1) if state else x
    if state is not None:
        count = min(seen.shape[1], layer.memory or seen.shape[1])
        state["memory"] = seen[:, seen.shape[1] - count :]
    return seen


def _sinusoid_scores(layer: Any, w: Weights, q: Array, distance: Array) -> Array:
    """Return the dot products [b h q k] of queries and projected distance sinusoids for all query-key pairs."""
    new, keys = distance.shape
    farthest = np.arange(keys, -1 if layer.causal else -new, -1)  # one more than earlier keys, as in the original code
    if layer.max_distance:
        farthest = np.clip(farthest, -layer.max_distance, layer.max_distance)
    r = einsum("rd,dhe->rhe", sines_and_cosines(farthest, layer.d_model), w.wr)
    return distance_scores(q, r, np.minimum(keys - distance, len(farthest) - 1))


def _segment_scores(w: Weights, q: Array, segments: Array, keys: int) -> Array:
    """Return the dot products of queries and same- or different-segment vectors. Cached tokens are in segment 0."""
    before = np.zeros((segments.shape[0], keys - segments.shape[1]), segments.dtype)
    other = segments[:, :, None] != np.concatenate([before, segments], axis=1)[:, None]
    scores = einsum("bqhe,she->bhqs", q + w.segment_bias, w.segment)
    b, h, new = (np.arange(size) for size in scores.shape[:3])
    return scores[b[:, None, None, None], h[:, None, None], new[:, None], other[:, None] * 1]
