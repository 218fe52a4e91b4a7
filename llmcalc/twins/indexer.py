"""The indexer of sparse attention [deepseek2025v32, Section 2], which selects the tokens to attend to.

The indexer is part of an attention layer. Factors common to all scores are omitted, since only the order of the
scores matters. The selection has no gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ..core.record import NamedTuple
from .functions import largest, layernorm, rmsnorm, softmax
from .positions import growth
from .rope import rotate, rotate_end
from .step import State, Step, extended
from .weights import Array, Weight, Weights, constant, matrix, table, vector


class Indexer(NamedTuple):
    """Settings of an indexer, taken from its attention layer."""

    d_model: int
    n_heads: int
    d_head: int
    top_k: int  # number of selected tokens
    rotary_dim: int  # width of the rotated part of a head
    d_query: int | None = None  # width of the query latent; None: queries are projected from the layer's input
    weighted: bool = True  # whether the head scores are summed with learned weights; otherwise each head selects
    key_norm: str = "layernorm"
    query_norm: bool = False
    interleaved: bool = False  # whether rotated pairs are adjacent
    rotates_end: bool = False  # whether the end of a head is rotated instead of the start
    unit_offset: bool = False  # whether scales of the norms are ``1 + w``
    norm_eps: float = 1e-6
    block: int = 1  # number of tokens selected together, by the best of them
    local: int = 0  # number of blocks, including the query's own, that are always selected
    pooled: bool = False  # whether complete blocks are scored by their mean key; other tokens are always selected
    input_norm: bool = False  # whether the input of the query projection has a LayerNorm
    position_scaled: bool = False  # whether queries are scaled by the logarithm of their position
    compressed: int | None = None  # tokens selected together by a gated mean key; other tokens are always selected


def weights(layer: Indexer) -> list[Weight]:
    """Return the query, key and head-weight projections, and the norms."""
    d, heads, mean = layer.d_model, (layer.n_heads, layer.d_head), 0.0 if layer.unit_offset else 1.0
    found = [matrix("wq", layer.d_query or d, heads), matrix("wk", d, layer.d_head)]
    found += [vector("k_norm", layer.d_head, mean=mean)]
    found += [vector("k_norm_b", layer.d_head)] if layer.key_norm == "layernorm" else []
    found += [vector("q_norm", layer.d_head, mean=mean)] if layer.query_norm else []
    found += [vector("in_norm", d, mean=1.0), vector("in_norm_b", d)] if layer.input_norm else []
    found += [vector("q_scale", layer.n_heads), vector("q_shift", layer.n_heads)] if layer.position_scaled else []
    if layer.compressed:
        found += [table("places", layer.compressed, layer.d_head), matrix("gate", d, layer.d_head)]
    return found + ([matrix("ww", d, layer.n_heads)] if layer.weighted else [])


def unselected_tokens(
    layer: Indexer,
    around: Any,
    w: Weights,
    x: Array,
    latent: Array | None,
    step: Step,
    state: State | None,
    factors: Array | None = None,
) -> Array:
    """Return a mask [b q k] of the tokens that the indexer does not select, or one mask per head [b i q k].

    Queries are projected from ``latent`` [b q r], or from ``x`` [b q d] if ``latent`` is None. The attention layer
    ``around`` defines the rotary frequencies, which are multiplied by ``factors``.
    """
    w, x, latent, factors = w.constant(), constant(x), constant(latent), constant(factors)
    asks = layernorm(x, layer.norm_eps, w.in_norm, w.in_norm_b) if layer.input_norm else x
    q = einsum("bqr,rie->bqie", asks if latent is None else latent, w.wq)
    if layer.query_norm:
        q = rmsnorm(q, layer.norm_eps, _scale(layer, w.q_norm))
    q = q * growth(w.q_scale, w.q_shift, step.positions) if layer.position_scaled else q
    q = _rotate(layer, around, q, step.positions, factors)
    if layer.compressed:
        return _select_groups(layer, around, w, x, q, step, state)
    k = einsum("bqd,de->bqe", x, w.wk)
    if not layer.pooled:  # otherwise, keys are normalised and rotated after pooling
        k = _rotate(layer, around, _normed_key(layer, w, k)[:, :, None], step.positions, factors)[:, :, 0]
    (k,) = extended(state, ik=k)
    if layer.pooled:
        return _select_pooled_blocks(layer, around, w, q, k, step)
    scores = einsum("bqie,bke->biqk", q, k)
    if layer.weighted:
        scores = einsum("bqi,biqk->bqk", einsum("bqd,di->bqi", x, w.ww), np.maximum(scores, 0.0))
    later = step.positions[:, None] < np.arange(k.shape[1])
    return ~_best_blocks(layer, np.where(later, -np.inf, np.asarray(scores)), step) | later


def _normed_key(layer: Indexer, w: Weights, k: Array) -> Array:
    if layer.key_norm == "rmsnorm":
        return rmsnorm(k, layer.norm_eps, _scale(layer, w.k_norm))
    return layernorm(k, layer.norm_eps, w.k_norm, w.k_norm_b)


def _scale(layer: Indexer, scale: Array) -> Array:
    return 1.0 + scale if layer.unit_offset else scale


def _rotate(layer: Indexer, around: Any, x: Array, places: Array, factors: Array | None = None) -> Array:
    if not layer.rotary_dim:
        return x
    turn = rotate_end if layer.rotates_end else rotate
    return turn(around.rope, x, places, layer.rotary_dim, layer.interleaved, factors)


def _best_blocks(layer: Indexer, scores: Array, step: Step) -> Array:
    """Return a mask of the tokens with the highest ``scores`` [... q k], selected individually or in blocks."""
    keys, size = scores.shape[-1], layer.block
    missing = np.full((*scores.shape[:-1], -keys % size), -np.inf)
    blocks = np.concatenate([scores, missing], axis=-1).reshape(*scores.shape[:-1], -1, size).max(axis=-1)
    distance = step.positions[:, None] // size - np.arange(blocks.shape[-1])
    blocks = np.where((distance >= 0) & (distance < layer.local), np.inf, blocks)
    return np.repeat(largest(blocks, layer.top_k // size), size, axis=-1)[..., :keys]


def _select_groups(
    layer: Indexer, around: Any, w: Weights, x: Array, q: Array, step: Step, state: State | None
) -> Array:
    """Select complete token groups by score, and all tokens after the last complete group."""
    groups = _groups(layer, around, w, x, step, state)  # [b m e]
    size, count = layer.compressed or 1, groups.shape[1]
    products = np.maximum(einsum("bqie,bme->biqm", q, groups), 0.0)
    scores = np.asarray(einsum("bqi,biqm->bqm", einsum("bqd,di->bqi", x, w.ww), products))
    ended = (step.positions[:, None] + 1) // size > np.arange(count)
    chosen = largest(np.where(ended, scores, -np.inf), layer.top_k // size) & ended
    place = np.arange(step.cached + x.shape[1])
    seen = np.zeros((*chosen.shape[:2], len(place)), bool)
    seen[..., : count * size] = np.repeat(chosen, size, axis=-1)
    last = step.positions[:, None]
    rest = (place > last - (last + 1) % size) & (place <= last)
    return ~(seen | rest)


def _groups(layer: Indexer, around: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Return keys [b m e], one per complete group, and store the keys and gates of the remaining tokens in the
    state.
    """
    own = _normed_key(layer, w, einsum("bqd,de->bqe", x, w.wk))[:, :, None]
    key = _rotate(layer, around, own, step.positions)[:, :, 0]
    packed = np.concatenate([key, einsum("bqd,de->bqe", x, w.gate)], axis=-1)
    size = layer.compressed or 1
    (packed,) = extended(state, (step.cached + x.shape[1]) % size, pending=packed)
    whole = packed.shape[1] // size
    keys, gates = np.split(packed[:, : whole * size].reshape(len(packed), whole, size, packed.shape[2]), 2, axis=-1)
    share = np.swapaxes(softmax(np.swapaxes(gates + w.places, 2, 3)), 2, 3)
    (groups,) = extended(state, ik=np.sum(share * keys, axis=2))
    return groups


def _select_pooled_blocks(layer: Indexer, around: Any, w: Weights, q: Array, k: Array, step: Step) -> Array:
    """Select complete blocks by their mean keys, and all tokens of the incomplete last block."""
    b, keys, size = k.shape[0], k.shape[1], layer.block
    whole, full = keys // size, (step.positions + 1) // size  # number of complete blocks, in total and per query
    rows, blocks = np.nonzero(np.arange(whole) < full[:, None])
    scores = np.full((b, q.shape[1], whole), -np.inf)
    if len(rows):
        mean = _normed_key(layer, w, np.mean(k[:, : whole * size].reshape(b, whole, size, -1), axis=2))
        mean = _rotate(layer, around, mean[:, :, None], np.arange(whole) * size)[:, :, 0]
        products = np.maximum(einsum("bpie,bpe->bpi", q[:, rows], mean[:, blocks]), 0.0)
        scores[:, rows, blocks] = np.asarray(np.sum(products, axis=-1))
    chosen = np.repeat(largest(scores, layer.top_k // size) & (scores > -np.inf), size, axis=-1)
    none = np.zeros((b, q.shape[1], keys - whole * size), bool)
    place = np.arange(keys)
    rest = (place >= (full * size)[:, None]) & (place <= step.positions[:, None])
    return ~(np.concatenate([chosen, none], axis=-1) | rest)
