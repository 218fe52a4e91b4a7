"""Multi-head latent attention [deepseek2024v2, Section 2.1], which caches a latent and one rotary key per token."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import InputError
from . import indexer
from .functions import plus, rmsnorm, sigmoid, softmax
from .positions import growth, temperature
from .rope import rotate
from .step import State, Step, distances, extended
from .weights import Array, Weight, Weights, matrix, under, vector


def weights(layer: Any) -> list[Weight]:
    """Return the query and key-value projections and their norms, the output projection, gate, sinks and indexer."""
    d, h, c, rope = layer.d_model, layer.n_heads, layer.kv_lora_rank, layer.qk_rope_head_dim
    nope, v, rank = layer.qk_nope_head_dim, layer.v_head_dim, layer.q_lora_rank
    latent = 2 * rank if layer.double_latent else rank
    if rank:
        found = [matrix("wqa", d, rank), vector("q_norm", rank, mean=1.0), matrix("wqb", latent, (h, nope + rope))]
        found += [vector("bqa", rank)] if layer.bias else []
    else:
        found = [matrix("wq", d, (h, nope + rope))]
    own, turned = not layer.latent_reused, rope and not layer.latent_reused
    found += [matrix("wkva", d, c), vector("kv_norm", c, mean=1.0)] if own else []
    found += [matrix("wkr", d, rope)] if turned else []
    found += [vector("kr_norm", rope, mean=1.0)] if layer.key_norm else []
    found += [vector("q_scale", h), vector("q_shift", h)] if layer.position_scaled else []
    found += [vector("alpha", layer.rope_learned)._replace(share=".rope_alpha")] if layer.rope_learned else []
    found += [matrix("wkb", c, (h, nope)), matrix("wvb", c, (h, v)), matrix("wo", (h, v), d)]
    found += [vector("sinks", h)] if layer.sinks else []
    if layer.gate != "none":
        found.append(matrix("wgate", latent if layer.gate == "latent" else d, h if layer.gate_per_head else (h, v)))
    found += under("indexer", indexer.weights(_indexer(layer))) if layer.indexer else []
    if layer.bias:
        found += [vector("bo", d), *([vector("bkva", c)] if own else []), *([vector("bkr", rope)] if turned else [])]
    return found


def _indexer(layer: Any) -> indexer.Indexer:
    part = layer.indexer
    sizes = layer.d_model, part.n_heads, part.dim, layer.index_topk
    settings = {"interleaved": part.interleaved, "rotates_end": part.rotates_end, "compressed": part.compressed}
    settings |= {"input_norm": part.input_norm, "position_scaled": part.position_scaled}
    return indexer.Indexer(*sizes, layer.qk_rope_head_dim if layer.rope else 0, layer.q_lora_rank, **settings)


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d]`` from ``x[b q d]``: attention to keys and values that are expanded from latents, or in a
    decode step to the latents ``[b k C]`` directly.
    """
    source, compressed = _compress_queries(layer, w, x)
    factors = np.exp(w.alpha) if layer.rope_learned and layer.rope and layer.qk_rope_head_dim else None
    q_nope, q_rope = _queries(layer, w, source, step, factors)
    if layer.indexer:
        latent, own = compressed if layer.q_lora_rank else None, w.part("indexer")
        step.unselected = indexer.unselected_tokens(_indexer(layer), layer, own, x, latent, step, state, factors)
    latent, k_rope = _latent(layer, w, x, step, state, factors)  # [b k C], [b k rope]
    attend = _attend_absorbed if step.decode else _attend_expanded
    mixed = attend(layer, w, q_nope, q_rope, latent, k_rope, _mask(layer, step, latent.shape[1]))
    if layer.gate != "none":  # a sigmoid of the input or of the query latent
        axes = "bqr,rh->bqh" if layer.gate_per_head else "bqr,rhv->bqhv"
        gate = sigmoid(einsum(axes, source if layer.gate == "latent" else x, w.wgate))
        mixed = mixed * (gate[..., None] if layer.gate_per_head else gate)
    return plus(einsum("bqhv,hvd->bqd", mixed, w.wo), w.get("bo"))


def _compress_queries(layer: Any, w: Weights, x: Array) -> tuple[Array, Array]:
    """Return the input of the query projection and the normalised query latent [b q r]."""
    if not layer.q_lora_rank:
        return x, x
    raw = plus(einsum("bqd,dr->bqr", x, w.wqa), w.get("bqa"))
    latent = _scale_latent(layer, rmsnorm(raw, layer.norm_eps, w.q_norm))
    return (np.concatenate([latent, raw], axis=-1) if layer.double_latent else latent), latent


def _scale_latent(layer: Any, latent: Array) -> Array:
    return latent * math.sqrt(layer.d_model / latent.shape[-1]) if layer.latent_scaled else latent


def _queries(layer: Any, w: Weights, source: Array, step: Step, factors: Array | None) -> tuple[Array, Array]:
    """Return the non-rotary and rotary parts of the queries, [b q h nope] and [b q h rope]."""
    q = einsum("bqr,rhe->bqhe", source, w.wqb if layer.q_lora_rank else w.wq)
    q = q * temperature(layer.temperature, step.positions) if layer.temperature else q
    nope = layer.qk_nope_head_dim
    q_nope, q_rope = q[..., :nope], _rotate(layer, q[..., nope:], step, factors)
    if not layer.position_scaled:
        return q_nope, q_rope
    grow = growth(w.q_scale, w.q_shift, step.positions)
    return q_nope * grow, q_rope * grow


def _latent(
    layer: Any, w: Weights, x: Array, step: Step, state: State | None, factors: Array | None
) -> tuple[Array, Array]:
    """Return the cached and new latents and rotary keys, or those of an earlier layer if this layer reuses them."""
    shared = ("latent", layer.kv_lora_rank, layer.qk_rope_head_dim)
    if layer.latent_reused:
        if shared not in step.shared_keys:
            raise InputError("no earlier layer has a latent for this layer to reuse", where="mla")
        return step.shared_keys[shared]
    latent = rmsnorm(plus(einsum("bqd,dc->bqc", x, w.wkva), w.get("bkva")), layer.norm_eps, w.kv_norm)
    latent = _scale_latent(layer, latent)
    k_rope = latent[..., :0]
    if layer.qk_rope_head_dim:  # one rotary key for all heads [b q rope]
        k_rope = plus(einsum("bqd,dr->bqr", x, w.wkr), w.get("bkr"))
        k_rope = rmsnorm(k_rope, layer.norm_eps, w.kr_norm) if layer.key_norm else k_rope
        k_rope = _rotate(layer, k_rope[:, :, None], step, factors)[:, :, 0]
    latent, k_rope = extended(state, layer.window - 1 if layer.window else None, ckv=latent, kr=k_rope)
    if layer.latent_lent:
        step.shared_keys[shared] = latent, k_rope
    return latent, k_rope


def _attend_expanded(
    layer: Any, w: Weights, q_nope: Array, q_rope: Array, latent: Array, k_rope: Array, hidden: Array
) -> Array:
    """Attend to keys and values that are expanded from the latents for every head."""
    k, v = einsum("bkc,che->bkhe", latent, w.wkb), einsum("bkc,chv->bkhv", latent, w.wvb)
    q = q_nope
    if layer.qk_rope_head_dim:
        every_head = k_rope[:, :, None] + np.zeros((*k.shape[:3], k_rope.shape[-1]))
        q, k = np.concatenate([q_nope, q_rope], axis=-1), np.concatenate([k, every_head], axis=-1)
    return einsum("bhqk,bkhv->bqhv", _softmax(layer, w, einsum("bqhe,bkhe->bhqk", q, k), hidden), v)


def _attend_absorbed(
    layer: Any, w: Weights, q_nope: Array, q_rope: Array, latent: Array, k_rope: Array, hidden: Array
) -> Array:
    """Attend to the latents, absorbing the up-projections into the queries and outputs."""
    scores = einsum("bqhc,bkc->bhqk", einsum("bqhe,che->bqhc", q_nope, w.wkb), latent)
    if layer.qk_rope_head_dim:
        scores = scores + einsum("bqhe,bke->bhqk", q_rope, k_rope)
    mixed = einsum("bhqk,bkc->bqhc", _softmax(layer, w, scores, hidden), latent)
    return einsum("bqhc,chv->bqhv", mixed, w.wvb)


def _softmax(layer: Any, w: Weights, scores: Array, hidden: Array) -> Array:
    """Compute the attention weights [b h q k], with optional sinks."""
    usual = 1 / math.sqrt(layer.qk_nope_head_dim + layer.qk_rope_head_dim)
    scores = scores * (usual if layer.scale is None else layer.scale)
    scores = np.where(hidden, -np.inf, scores) if hidden.any() else scores
    return softmax(scores, w.sinks[:, None, None]) if layer.sinks else softmax(scores)


def _mask(layer: Any, step: Step, keys: int) -> Array:
    """Return a mask of the keys that each query ignores, [q k], or [b 1 q k] if the layer has an indexer."""
    distance = distances(step, keys)
    hidden = distance < 0 if layer.causal else np.zeros(distance.shape, bool)
    if layer.window:
        hidden |= np.abs(distance) >= layer.window
    if not layer.index_topk:
        return hidden
    if step.unselected is None:
        raise InputError("no earlier layer has an indexer selection for this layer to reuse", where="mla")
    return hidden | step.unselected[:, None, :, -keys:]


def _rotate(layer: Any, x: Array, step: Step, factors: Array | None) -> Array:
    if not layer.rope or not layer.qk_rope_head_dim:
        return x
    return rotate(layer.rope, x, step.positions, layer.qk_rope_head_dim, factors=factors)
