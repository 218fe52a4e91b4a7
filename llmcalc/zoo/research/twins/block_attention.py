"""Attention of long inputs by blocks and through a few global tokens [guo2021, phang2022], as masks on all pairs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....twins.functions import layernorm, rmsnorm, softmax
from ....twins.heads import join, project, projections, scores
from ....twins.position_biases import relative_buckets
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, table, vector

INPUT_FIELDS = frozenset({"globals_dropped"})  # nothing reads them behind the layer
BESIDE = "side_tokens"  # key of the saved stream of global tokens


def weights(layer: Any) -> list[Weight]:
    """Projections without biases; tables of distances, one for all layers; norms of what is global."""
    d, h, e = layer.d_model, layer.n_heads, layer.d_head
    found = [*projections("qkv", d, h, e, bias=""), matrix("wo", (h, e), d)]
    relative = layer.positions == "relative"
    found += [table("relative_bias", layer.n_buckets, h, share=".relative_bias")] if relative else []
    found += [vector("summary_norm", d, mean=1.0)] if layer.summary else []
    found += [table("summary_bias", layer.n_buckets, h, share=".summary_bias")] if layer.summary and relative else []
    if layer.n_global:
        found += [vector("global_norm", d, mean=1.0), vector("global_norm_b", d)]
    return found


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``softmax(q [k_block, k_global]ᵀ · scale) [v_block, v_global] · wo``."""
    step.must_be_whole(layer.kind())
    q, k, v = (project(w, name, x) for name in "qkv")
    q = q * (1 / math.sqrt(layer.d_head) if layer.scale is None else layer.scale)
    met = _near(layer, w, scores(q, k), step.positions)
    if not (layer.summary or layer.n_global):
        return join(w, einsum("bhqk,bkhe->bqhe", softmax(met), v))
    seen = _summaries(layer, w, x) if layer.summary else _global_tokens(layer, w, step)
    ks, vs = project(w, "k", seen), project(w, "v", seen)
    beside = scores(q, ks)
    if layer.summary and layer.positions == "relative":
        stretch = _stretches(layer, x.shape[1])
        beside = beside + _bias(layer, w.summary_bias, np.arange(beside.shape[-1]) - stretch[:, None])
    p = softmax(np.concatenate([met, beside], axis=-1))
    near, far = p[..., : x.shape[1]], p[..., x.shape[1] :]
    if layer.n_global:
        _move_globals(layer, w, step, seen, (k, v), (ks, vs))
    return join(w, einsum("bhqk,bkhe->bqhe", near, v) + einsum("bhqg,bghe->bqhe", far, vs))


def _near(layer: Any, w: Weights, met: Array, positions: Array) -> Array:
    """Scores [b h q k] with the bias of each distance; -inf outside of a block, or farther than one is long."""
    ahead = positions - positions[:, None]
    if layer.positions == "relative":
        met = met + _bias(layer, w.relative_bias, ahead)
    block = (positions + (layer.block // 2 if layer.staggered else 0)) // layer.block
    hidden = np.abs(ahead) >= layer.block if layer.reach == "beside" else block[:, None] != block
    return np.where(hidden, -np.inf, met)


def _bias(layer: Any, biases: Array, ahead: Array) -> Array:
    """That of each distance, for every head [h q k]."""
    return np.transpose(biases[relative_buckets(layer, ahead, causal=False)], (2, 0, 1))


def _summaries(layer: Any, w: Weights, x: Array) -> Array:
    """The sum of every whole stretch of tokens, normalised [b g d]; what is left at the end goes to the last one."""
    stretch = _stretches(layer, x.shape[1])
    sums = [np.sum(x[:, stretch == number], axis=1, keepdims=True) for number in range(x.shape[1] // layer.summary)]
    whole = np.concatenate(sums, axis=1) if sums else x[:, :0]
    return rmsnorm(whole, layer.norm_eps, w.summary_norm)


def _stretches(layer: Any, tokens: int) -> Array:
    """The stretch that each token belongs to."""
    return np.minimum(np.arange(tokens) // layer.summary, tokens // layer.summary - 1)


def _global_tokens(layer: Any, w: Weights, step: Step) -> Array:
    """Those beside the text, normalised [b g d]."""
    return layernorm(step.saved_streams[BESIDE], layer.norm_eps, w.global_norm, w.global_norm_b)


def _move_globals(
    layer: Any, w: Weights, step: Step, seen: Array, near: tuple[Array, Array], far: tuple[Array, Array]
) -> None:
    """The global tokens' own attention, to everything; their stream goes on."""
    q = project(w, "q", seen) * (1 / math.sqrt(layer.d_head) if layer.scale is None else layer.scale)
    (k, v), (ks, vs) = near, far
    p = softmax(np.concatenate([scores(q, k), scores(q, ks)], axis=-1))
    tokens = k.shape[1]
    mixed = einsum("bhqk,bkhe->bqhe", p[..., :tokens], v) + einsum("bhqk,bkhe->bqhe", p[..., tokens:], vs)
    step.saved_streams[BESIDE] = step.saved_streams[BESIDE] + join(w, mixed)
