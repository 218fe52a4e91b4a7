"""Funnel attention [dai2020, Section 2 and Appendix A]: relative attention between which neighbours become one.

In front of a layer that ``pools``, pairs of positions become one; in front of one that ``restores``, all are back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.embedding import sines_and_cosines
from ....twins.heads import join, mix, output, project, projections, scores
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, table

POOLING: dict[str, Callable[..., Array]] = {"mean": np.mean, "max": np.max}
FIRST_SEGMENT = 2  # of a first token that belongs to all segments
SEGMENT_PAIRS = 2  # in two segments, or in one


def weights(layer: Any) -> list[Weight]:
    """Projections, of which queries have three biases of their own; those of distances; pairs of segments."""
    d, h, e = layer.d_model, layer.n_heads, layer.d_head
    found = [*projections("qkv", d, h, e, bias="kv"), *output(d, h, e)]
    found += [table(name, h, e) for name in ("u", "w", "z")]
    return [*found, table("wr", d, h, e), table("segment", SEGMENT_PAIRS, h, e)]


def prepare_stream(layer: Any, x: Array, step: Step) -> Array:
    """The stream [b q d] as this layer and what follows find it: pooled, restored, or as it was."""
    if layer.pools:
        step.saved_streams["unpooled"] = x
        step.saved_streams.setdefault("all tokens", x)
        return _pooled(layer, x)
    if layer.restores:
        return _restored(layer, x, step.ids.shape[1]) + step.saved_streams.get("all tokens", x)
    return x


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``softmax(((q + u) kᵀ + positions(q + w) + segments(q + z)) / sqrt(e)) v · wo``."""
    step.must_be_whole(layer.kind())
    wide = layer.pools and not layer.pooled_keys
    source = step.saved_streams["unpooled"] if wide else x
    q, k, v = project(w, "q", x), project(w, "k", source), project(w, "v", source)
    of_queries = _tokens(layer, step, layer.merge)
    of_keys = _tokens(layer, step, layer.merge // 2) if wide else of_queries
    if layer.factorized:
        beside = _factorized(layer, w, q + w.w, of_queries, of_keys)
    else:
        beside = _shifted(layer, w, q + w.w, len(of_keys), wide)
    beside = beside + _by_segment(w, q + w.z, step, of_queries, of_keys)
    if layer.first_apart:  # that token has no place
        beside = beside * np.outer(of_queries > 0, of_keys > 0)
    met = scores(q + w.u, k) + beside
    return join(w, mix(met / math.sqrt(layer.d_head), v))


def _shifted(layer: Any, w: Weights, q: Array, keys: int, wide: bool) -> Array:
    """Queries with the projected sinusoids of all distances, of which each pair takes its own [b h q k]."""
    new, shift = q.shape[1], 2 if wide else 1  # keys between one query and the next
    apart, first = layer.merge // shift, int(wide and layer.first_apart)  # tokens between one key and the next
    distance = apart * (shift * new - first - np.arange(shift * new + keys))
    r = einsum("rd,dhe->rhe", sines_and_cosines(distance, layer.d_model), w.wr)
    met = einsum("bqhe,rhe->bhqr", q, r)
    query = np.arange(new)[:, None]
    return met[:, :, query, shift * (new - query) + np.arange(keys)]


def _factorized(layer: Any, w: Weights, q: Array, queries: Array, keys: Array) -> Array:
    """The same by the sine of a sum: queries and keys turn by their own places [b h q k]."""
    r = einsum("bqhe,dhe->bqhd", q, w.wr)
    (sin_q, cos_q), (sin_k, cos_k) = (
        np.split(sines_and_cosines(at, layer.d_model), 2, axis=1) for at in (queries, keys)
    )
    both = [(sin_q, np.concatenate([cos_k, sin_k], axis=1)), (cos_q, np.concatenate([-sin_k, cos_k], axis=1))]
    one, two = (einsum("bqhd,kd->bhqk", r * np.tile(of_q, 2)[:, None], of_k) for of_q, of_k in both)
    return one + two


def _by_segment(w: Weights, q: Array, step: Step, queries: Array, keys: Array) -> Array:
    """Queries with what stands for a pair in two segments or in one [b h q k]."""
    segments = np.zeros_like(step.ids) if step.segments is None else step.segments
    of_q, of_k = segments[:, queries][:, :, None], segments[:, keys][:, None]
    same = (of_q == of_k) | (of_q == FIRST_SEGMENT) | (of_k == FIRST_SEGMENT)
    met = einsum("bqhe,she->bhqs", q, w.segment)
    return np.where(same[:, None], met[..., 1:], met[..., :1])


def _tokens(layer: Any, step: Step, merge: int) -> Array:
    """The token that stands for each position where so many have become one."""
    tokens = np.arange(step.ids.shape[1])
    while merge > 1:
        tokens, merge = _with_first(layer, tokens[None])[0, ::2], merge // 2
    return tokens


def _with_first(layer: Any, x: Array) -> Array:
    """``x`` [b q ...] as it is paired: a first token that stays apart with itself; the last token may fall off."""
    if not layer.first_apart:
        return x
    return np.concatenate([x[:, :1], x if layer.extra else x[:, :-1]], axis=1)


def _pooled(layer: Any, x: Array) -> Array:
    """Pairs of positions as one; a last one without a partner stays."""
    if x.shape[1] <= 1 + layer.first_apart:
        raise UnsupportedError(f"{x.shape[1]} positions are not pooled", where="funnel_attention")
    x = _with_first(layer, x)
    b, q, d = x.shape
    pooled = POOLING[layer.pooling](x[:, : q - q % 2].reshape(b, -1, 2, d), axis=2)
    return np.concatenate([pooled, x[:, q - q % 2 :]], axis=1)


def _restored(layer: Any, x: Array, tokens: int) -> Array:
    """Each position as often as tokens have become one; the first one once, if it has stayed apart."""
    first = int(layer.first_apart and layer.restores > 1)
    spread = np.repeat(x[:, first:], layer.restores, axis=1)
    missing = np.zeros((x.shape[0], max(tokens - first - spread.shape[1], 0), x.shape[2]))
    return np.concatenate([x[:, :first], spread, missing], axis=1)[:, :tokens]
