"""Attention over relative positions with a memory of hidden states [dai2019, Section 3.3; yang2019]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....twins.embedding import sines_and_cosines
from ....twins.heads import mix, scores
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, table


def weights(layer: Any) -> list[Weight]:
    """Projections of tokens and of distances, each in three dimensions; biases of the queries; pairs of segments."""
    d, h = layer.d_model, layer.n_heads
    e = d // h
    found = [table(name, d, h, e) for name in ("wq", "wk", "wv", "wo", "wr")]
    found += [table("u", h, e), table("w", h, e)]
    if layer.n_segments:
        found += [table("segment_bias", h, e), table("segment", layer.n_segments, h, e)]
    return found


def is_stepwise(layer: Any) -> bool:
    """Whether step after step gives what one pass gives: not where a query sees later tokens, or memory is short."""
    return bool(layer.causal and not layer.memory)


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``softmax(((q + u) kᵀ + (q + w) rᵀ) / sqrt(e)) v · wo``, where ``r`` belongs to a distance."""
    seen = _with_memory(layer, x, state)
    q, k, v = (einsum("bqd,dhe->bqhe", *pair) for pair in ((x, w.wq), (seen, w.wk), (seen, w.wv)))
    new, keys = x.shape[1], seen.shape[1]
    distance = np.arange(keys - new, keys)[:, None] - np.arange(keys)  # [q k]; negative: the key is later
    met = scores(q + w.u, k) + _met_at_distance(layer, w, q + w.w, distance)
    if step.segments is not None and layer.n_segments:
        met = met + _by_segment(w, q, step.segments, keys)
    hidden = distance < 0 if layer.causal else None
    mixed = mix(met / math.sqrt(layer.d_model // layer.n_heads), v, hidden)
    return einsum("bqhe,dhe->bqd", mixed, w.wo)


def _with_memory(layer: Any, x: Array, state: State | None) -> Array:
    """The inputs of earlier steps and of this one, of which the last ones are kept."""
    seen = np.concatenate([state["memory"], x], axis=1) if state else x
    if state is not None:
        kept = min(seen.shape[1], layer.memory or seen.shape[1])
        state["memory"] = seen[:, seen.shape[1] - kept :]
    return seen


def _met_at_distance(layer: Any, w: Weights, q: Array, distance: Array) -> Array:
    """Queries with the projected sinusoids of all distances, of which each pair takes its own [b h q k]."""
    new, keys = distance.shape
    farthest = np.arange(keys, -1 if layer.causal else -new, -1)  # one more than there is behind, as published
    if layer.max_distance:
        farthest = np.clip(farthest, -layer.max_distance, layer.max_distance)
    r = einsum("rd,dhe->rhe", sines_and_cosines(farthest, layer.d_model), w.wr)
    met = einsum("bqhe,rhe->bhqr", q, r)
    return met[:, :, np.arange(new)[:, None], np.minimum(keys - distance, len(farthest) - 1)]


def _by_segment(w: Weights, q: Array, segments: Array, keys: int) -> Array:
    """Queries with what stands for a pair in one segment or in two; memory belongs to the first segment."""
    before = np.zeros((segments.shape[0], keys - segments.shape[1]), segments.dtype)
    other = segments[:, :, None] != np.concatenate([before, segments], axis=1)[:, None]
    met = einsum("bqhe,she->bhqs", q + w.segment_bias, w.segment)
    b, h, new, _ = met.shape
    return met[
        np.arange(b)[:, None, None, None], np.arange(h)[:, None, None], np.arange(new)[:, None], other[:, None] * 1
    ]
