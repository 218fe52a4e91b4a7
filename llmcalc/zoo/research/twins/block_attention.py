"""Attention within blocks and to global tokens [guo2021, phang2022], computed with masks over all pairs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.functions import layernorm, rmsnorm, softmax
from ....twins.heads import dot_products, join, mix, project, projections
from ....twins.positions import buckets
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, table, vector

INPUT_FIELDS = frozenset({"globals_dropped"})  # no later layer reads the global tokens
SIDE_TOKENS = "side_tokens"  # name of the saved stream of global tokens


def weights(layer: Any) -> list[Weight]:
    """Return the projections without biases, the shared bias tables, and the norms of summaries and global tokens."""
    d, h, e = layer.d_model, layer.n_heads, layer.d_head
    found = [*projections("qkv", d, h, e, bias=""), matrix("wo", (h, e), d)]
    relative = layer.positions == "relative"
    found += [table("relative_bias", layer.n_buckets, h, share=".relative_bias")] if relative else []
    found += [vector("summary_norm", d, mean=1.0)] if layer.summary else []
    found += [table("summary_bias", layer.n_buckets, h, share=".summary_bias")] if layer.summary and relative else []
    return found + ([vector("global_norm", d, mean=1.0), vector("global_norm_b", d)] if layer.n_global else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(q [k_block, k_global]ᵀ · scale) [v_block, v_global] · wo``."""
    step.must_be_whole(layer.kind())
    q, k, v = (project(w, name, x) for name in "qkv")
    q = _scale(layer, q)
    scores = _block_scores(layer, w, dot_products(q, k), step.positions)
    if not (layer.summary or layer.n_global):
        return join(w, mix(scores, v))
    tokens = _summaries(layer, w, x) if layer.summary else _global_tokens(layer, w, step)
    ks, vs = project(w, "k", tokens), project(w, "v", tokens)
    global_scores = dot_products(q, ks)
    if layer.summary and layer.positions == "relative":
        ahead = np.arange(global_scores.shape[-1]) - _segments(layer, x.shape[1])[:, None]
        global_scores = global_scores + _bias(layer, w.summary_bias, ahead)
    if layer.n_global:
        _update_globals(layer, w, step, _scale(layer, project(w, "q", tokens)), (k, v), (ks, vs))
    return join(w, _mix_both(scores, global_scores, v, vs))


def _scale(layer: Any, q: Array) -> Array:
    return q * (1 / math.sqrt(layer.d_head) if layer.scale is None else layer.scale)


def _mix_both(scores: Array, global_scores: Array, v: Array, vs: Array) -> Array:
    """Return the sums [b q h e] of token and global values, weighted by a joint softmax."""
    p = softmax(np.concatenate([scores, global_scores], axis=-1))
    tokens = scores.shape[-1]
    return einsum("bhqk,bkhe->bqhe", p[..., :tokens], v) + einsum("bhqg,bghe->bqhe", p[..., tokens:], vs)


def _block_scores(layer: Any, w: Weights, scores: Array, positions: Array) -> Array:
    """Add relative biases to the scores [b h q k], and mask the keys that ``reach`` excludes."""
    ahead = positions - positions[:, None]
    if layer.positions == "relative":
        scores = scores + _bias(layer, w.relative_bias, ahead)
    block = (positions + (layer.block // 2 if layer.staggered else 0)) // layer.block
    hidden = np.abs(ahead) >= layer.block if layer.reach == "beside" else block[:, None] != block
    return np.where(hidden, -np.inf, scores)


def _bias(layer: Any, biases: Array, ahead: Array) -> Array:
    """Return each head's relative biases for all query-key pairs [h q k]."""
    return np.transpose(biases[buckets(layer.n_buckets, layer.max_distance, ahead, causal=False)], (2, 0, 1))


def _summaries(layer: Any, w: Weights, x: Array) -> Array:
    """Return the normalised segment sums [b g d]. The last segment also includes any leftover tokens."""
    segment = _segments(layer, x.shape[1])
    sums = [np.sum(x[:, segment == number], axis=1, keepdims=True) for number in range(x.shape[1] // layer.summary)]
    return rmsnorm(np.concatenate(sums, axis=1) if sums else x[:, :0], layer.norm_eps, w.summary_norm)


def _segments(layer: Any, tokens: int) -> Array:
    """Return the segment index of each token."""
    return np.minimum(np.arange(tokens) // layer.summary, tokens // layer.summary - 1)


def _global_tokens(layer: Any, w: Weights, step: Step) -> Array:
    """Return the normalised global token stream [b g d]."""
    if SIDE_TOKENS not in step.saved_streams:
        raise UnsupportedError("missing global tokens", where="block_attention")
    return layernorm(step.saved_streams[SIDE_TOKENS], layer.norm_eps, w.global_norm, w.global_norm_b)


def _update_globals(
    layer: Any, w: Weights, step: Step, q: Array, tokens: tuple[Array, Array], side_tokens: tuple[Array, Array]
) -> None:
    """Update the global token stream by attending to all tokens, including the global tokens."""
    (k, v), (ks, vs) = tokens, side_tokens
    mixed = _mix_both(dot_products(q, k), dot_products(q, ks), v, vs)
    step.saved_streams[SIDE_TOKENS] = step.saved_streams[SIDE_TOKENS] + join(w, mixed)
