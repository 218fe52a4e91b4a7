"""Funnel attention [dai2020, Section 2 and Appendix A] with relative positions and pooling of adjacent tokens.

The layer first merges pairs of positions if ``pools`` is set, or expands positions if ``restores`` is set.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.embedding import sines_and_cosines
from ....twins.heads import distance_scores, dot_products, join, mix, output, project, projections
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, table

POOLING: dict[str, Callable[..., Array]] = {"mean": np.mean, "max": np.max}
FIRST_SEGMENT = 2  # segment id of a first token that belongs to all segments


def weights(layer: Any) -> list[Weight]:
    """Return the projections, three query biases, the distance projection, and the segment pair vectors."""
    d, h, e = layer.d_model, layer.n_heads, layer.d_head
    found = [*projections("qkv", d, h, e, bias="kv"), *output(d, h, e)]
    found += [table(name, h, e) for name in ("u", "w", "z")]
    return [*found, table("wr", d, h, e), table("segment", 2, h, e)]


def prepare_stream(layer: Any, x: Array, step: Step) -> Array:
    """Return the pooled, expanded or unchanged stream [b q d] for this layer and later layers."""
    if layer.pools:
        step.saved_streams["unpooled"] = x
        step.saved_streams.setdefault("all tokens", x)
        return _pool(layer, x)
    if layer.restores:
        return _expand(layer, x, step.ids.shape[1]) + step.saved_streams.get("all tokens", x)
    return x


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(((q + u) kᵀ + positions(q + w) + segments(q + z)) / sqrt(e)) v · wo``."""
    step.must_be_whole(layer.kind())
    pools_queries = layer.pools and not layer.pooled_keys
    source = step.saved_streams["unpooled"] if pools_queries else x
    q, k, v = project(w, "q", x), project(w, "k", source), project(w, "v", source)
    queries = _first_tokens(layer, step, layer.merge)
    keys = _first_tokens(layer, step, layer.merge // 2) if pools_queries else queries
    if layer.factorized:
        bias = _factorized_scores(layer, w, q + w.w, queries, keys)
    else:
        bias = _sinusoid_scores(layer, w, q + w.w, len(keys), pools_queries)
    bias = bias + _segment_scores(w, q + w.z, step, queries, keys)
    if layer.first_apart:  # the first token has no relative position
        bias = bias * np.outer(queries > 0, keys > 0)
    scores = dot_products(q + w.u, k) + bias
    return join(w, mix(scores / math.sqrt(layer.d_head), v))


def _sinusoid_scores(layer: Any, w: Weights, q: Array, keys: int, pools_queries: bool) -> Array:
    """Return the dot products [b h q k] of queries and projected distance sinusoids for all query-key pairs."""
    new, shift = q.shape[1], 2 if pools_queries else 1  # shift: keys per query
    spacing, first = layer.merge // shift, int(pools_queries and layer.first_apart)  # spacing: tokens per key
    distance = spacing * (shift * new - first - np.arange(shift * new + keys))
    r = einsum("rd,dhe->rhe", sines_and_cosines(distance, layer.d_model), w.wr)
    return distance_scores(q, r, shift * (new - np.arange(new)[:, None]) + np.arange(keys))


def _factorized_scores(layer: Any, w: Weights, q: Array, queries: Array, keys: Array) -> Array:
    """Return position scores [b h q k] from query and key sinusoids, using the angle addition formulas."""
    r = einsum("bqhe,dhe->bqhd", q, w.wr)
    sin_q, cos_q = np.split(sines_and_cosines(queries, layer.d_model), 2, axis=1)
    sin_k, cos_k = np.split(sines_and_cosines(keys, layer.d_model), 2, axis=1)
    both = [(sin_q, np.concatenate([cos_k, sin_k], axis=1)), (cos_q, np.concatenate([-sin_k, cos_k], axis=1))]
    one, two = (einsum("bqhd,kd->bhqk", r * np.tile(of_q, 2)[:, None], of_k) for of_q, of_k in both)
    return one + two


def _segment_scores(w: Weights, q: Array, step: Step, queries: Array, keys: Array) -> Array:
    """Return the dot products [b h q k] of each query with the same-segment or different-segment vector."""
    segments = np.zeros_like(step.ids) if step.segments is None else step.segments
    of_q, of_k = segments[:, queries][:, :, None], segments[:, keys][:, None]
    same = (of_q == of_k) | (of_q == FIRST_SEGMENT) | (of_k == FIRST_SEGMENT)
    scores = einsum("bqhe,she->bhqs", q, w.segment)
    return np.where(same[:, None], scores[..., 1:], scores[..., :1])


def _first_tokens(layer: Any, step: Step, merge: int) -> Array:
    """Return the index of each position's first token if each position merges ``merge`` tokens."""
    tokens = np.arange(step.ids.shape[1])
    while merge > 1:
        tokens, merge = _double_first(layer, tokens[None])[0, ::2], merge // 2
    return tokens


def _double_first(layer: Any, x: Array) -> Array:
    """Duplicate the first token of ``x`` [b q ...] if it is never pooled, and drop the last token unless ``extra``."""
    if not layer.first_apart:
        return x
    return np.concatenate([x[:, :1], x if layer.extra else x[:, :-1]], axis=1)


def _pool(layer: Any, x: Array) -> Array:
    """Pool pairs of positions, and leave an unpaired last position unchanged."""
    if x.shape[1] <= 1 + layer.first_apart:
        raise UnsupportedError(f"pooling requires more than {x.shape[1]} positions", where="funnel_attention")
    x = _double_first(layer, x)
    b, q, d = x.shape
    pairs = POOLING[layer.pooling](x[:, : q - q % 2].reshape(b, -1, 2, d), axis=2)
    return np.concatenate([pairs, x[:, q - q % 2 :]], axis=1)


def _expand(layer: Any, x: Array, tokens: int) -> Array:
    """Repeat each position ``restores`` times, except for an unpooled first token."""
    first = int(layer.first_apart and layer.restores > 1)
    repeated = np.repeat(x[:, first:], layer.restores, axis=1)
    missing = np.zeros((x.shape[0], max(tokens - first - repeated.shape[1], 0), x.shape[2]))
    return np.concatenate([x[:, :first], repeated, missing], axis=1)[:, :tokens]
