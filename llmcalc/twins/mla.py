"""Multi-head latent attention [deepseek2024v2, Section 2.1]: only a latent and one rotary key a token are kept."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from .functions import plus, rmsnorm, softmax
from .rope import rotate
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Down-projections to the latents, their norms, and up-projections to heads."""
    d, h, c, rope = layer.d_model, layer.n_heads, layer.kv_lora_rank, layer.qk_rope_head_dim
    nope, v, rank = layer.qk_nope_head_dim, layer.v_head_dim, layer.q_lora_rank
    if rank:
        found = [matrix("wqa", d, rank), vector("q_norm", rank, mean=1.0), matrix("wqb", rank, (h, nope + rope))]
        found += [vector("bqa", rank)] if layer.bias else []
    else:
        found = [matrix("wq", d, (h, nope + rope))]
    found += [matrix("wkva", d, c), matrix("wkr", d, rope), vector("kv_norm", c, mean=1.0)]
    found += [matrix("wkb", c, (h, nope)), matrix("wvb", c, (h, v)), matrix("wo", (h, v), d)]
    return found + ([vector("bkva", c), vector("bkr", rope), vector("bo", d)] if layer.bias else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Attention over keys and values that are expanded from the latent; in a decode step, over the latent itself."""
    q_nope, q_rope = _queries(layer, w, x, step)
    latent, k_rope = _latent(layer, w, x, step, state)  # [b k C], [b k rope]
    attend = _absorbed if step.decode else _expanded
    mixed = attend(layer, w, q_nope, q_rope, latent, k_rope, _hidden(layer, step, latent.shape[1]))
    return plus(einsum("bqhv,hvd->bqd", mixed, w.wo), w.get("bo"))


def _queries(layer: Any, w: Weights, x: Array, step: Step) -> tuple[Array, Array]:
    """The parts of each query without and with a place [b q h nope], [b q h rope]."""
    if layer.q_lora_rank:
        compressed = plus(einsum("bqd,dr->bqr", x, w.wqa), w.get("bqa"))
        q = einsum("bqr,rhe->bqhe", rmsnorm(compressed, layer.norm_eps, w.q_norm), w.wqb)
    else:
        q = einsum("bqd,dhe->bqhe", x, w.wq)
    nope = layer.qk_nope_head_dim
    return q[..., :nope], _placed(layer, q[..., nope:], step)


def _latent(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> tuple[Array, Array]:
    """What is kept of each token in sight."""
    latent = rmsnorm(plus(einsum("bqd,dc->bqc", x, w.wkva), w.get("bkva")), layer.norm_eps, w.kv_norm)
    k_rope = plus(einsum("bqd,dr->bqr", x, w.wkr), w.get("bkr"))
    k_rope = _placed(layer, k_rope[:, :, None], step)[:, :, 0]  # one key for all heads
    if state:
        latent = np.concatenate([state["ckv"], latent], axis=1)
        k_rope = np.concatenate([state["kr"], k_rope], axis=1)
    if state is not None:
        state["ckv"], state["kr"] = latent, k_rope
    return latent, k_rope


def _expanded(
    layer: Any, w: Weights, q_nope: Array, q_rope: Array, latent: Array, k_rope: Array, hidden: Array
) -> Array:
    """Every head gets its keys and values."""
    k_nope, v = einsum("bkc,che->bkhe", latent, w.wkb), einsum("bkc,chv->bkhv", latent, w.wvb)
    shape = (*k_nope.shape[:3], k_rope.shape[-1])
    k = np.concatenate([k_nope, k_rope[:, :, None] + np.zeros(shape)], axis=-1)
    scores = einsum("bqhe,bkhe->bhqk", np.concatenate([q_nope, q_rope], axis=-1), k)
    return einsum("bhqk,bkhv->bqhv", _softmax(layer, scores, hidden), v)


def _absorbed(
    layer: Any, w: Weights, q_nope: Array, q_rope: Array, latent: Array, k_rope: Array, hidden: Array
) -> Array:
    """The up-projections move into the query and behind the mix, so that the cache is used as it is."""
    in_latent = einsum("bqhe,che->bqhc", q_nope, w.wkb)
    scores = einsum("bqhc,bkc->bhqk", in_latent, latent) + einsum("bqhe,bke->bhqk", q_rope, k_rope)
    mixed = einsum("bhqk,bkc->bqhc", _softmax(layer, scores, hidden), latent)
    return einsum("bqhc,chv->bqhv", mixed, w.wvb)


def _softmax(layer: Any, scores: Array, hidden: Array) -> Array:
    usual = 1 / math.sqrt(layer.qk_nope_head_dim + layer.qk_rope_head_dim)
    scores = scores * (usual if layer.scale is None else layer.scale)
    return softmax(np.where(hidden, -np.inf, scores) if hidden.any() else scores)


def _hidden(layer: Any, step: Step, keys: int) -> Array:
    """Which keys a query does not see [q k]."""
    later = step.positions[:, None] < np.arange(keys)
    return later if layer.causal else np.zeros_like(later)


def _placed(layer: Any, x: Array, step: Step) -> Array:
    return rotate(layer, x, step.positions, layer.qk_rope_head_dim) if layer.rope else x
