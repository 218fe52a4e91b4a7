"""Multi-head latent attention [deepseek2024v2, Section 2.1]: only a latent and one rotary key a token are kept."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import InputError, UnsupportedError
from . import indexer
from .functions import plus, rmsnorm, sigmoid, softmax
from .places import temperature
from .rope import rotate
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, under, vector


def weights(layer: Any) -> list[Weight]:
    """Down-projections to the latents, their norms, and up-projections to heads; gate, sinks, indexer."""
    d, h, c, rope = layer.d_model, layer.n_heads, layer.kv_lora_rank, layer.qk_rope_head_dim
    if not rope:
        raise UnsupportedError("heads without a rotary part have no NumPy model", where="mla")
    nope, v, rank = layer.qk_nope_head_dim, layer.v_head_dim, layer.q_lora_rank
    latent = 2 * rank if layer.double_latent else rank
    if rank:
        found = [matrix("wqa", d, rank), vector("q_norm", rank, mean=1.0), matrix("wqb", latent, (h, nope + rope))]
        found += [vector("bqa", rank)] if layer.bias else []
    else:
        found = [matrix("wq", d, (h, nope + rope))]
    found += [matrix("wkva", d, c), matrix("wkr", d, rope), vector("kv_norm", c, mean=1.0)]
    found += [vector("kr_norm", rope, mean=1.0)] if layer.key_norm else []
    found += [matrix("wkb", c, (h, nope)), matrix("wvb", c, (h, v)), matrix("wo", (h, v), d)]
    found += [vector("sinks", h)] if layer.sinks else []
    if layer.gate != "none":
        found.append(matrix("wgate", latent if layer.gate == "latent" else d, h if layer.gate_per_head else (h, v)))
    found += under("indexer", indexer.weights(_indexer(layer))) if layer.index_heads else []
    return found + ([vector("bkva", c), vector("bkr", rope), vector("bo", d)] if layer.bias else [])


def _indexer(layer: Any) -> indexer.Indexer:
    sizes = (layer.d_model, layer.index_heads, layer.index_dim, layer.index_topk, layer.qk_rope_head_dim)
    places = {"interleaved": layer.index_interleaved, "rotates_end": layer.index_rotates_end}
    return indexer.Indexer(*sizes, layer.q_lora_rank, **places)


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Attention over keys and values that are expanded from the latent; in a decode step, over the latent itself."""
    source, compressed = _compressed(layer, w, x)
    q_nope, q_rope = _queries(layer, w, source, step)
    if layer.index_heads:
        latent = compressed if layer.q_lora_rank else None
        step.not_chosen = indexer.not_chosen(_indexer(layer), layer, w.part("indexer"), x, latent, step, state)
    latent, k_rope = _latent(layer, w, x, step, state)  # [b k C], [b k rope]
    attend = _absorbed if step.decode else _expanded
    mixed = attend(layer, w, q_nope, q_rope, latent, k_rope, _hidden(layer, step, latent.shape[1]))
    return plus(einsum("bqhv,hvd->bqd", _gated(layer, w, mixed, x, source), w.wo), w.get("bo"))


def _compressed(layer: Any, w: Weights, x: Array) -> tuple[Array, Array]:
    """What queries are made of, and the latent of that [b q r] which is normalised."""
    if not layer.q_lora_rank:
        return x, x
    raw = plus(einsum("bqd,dr->bqr", x, w.wqa), w.get("bqa"))
    latent = _scaled(layer, rmsnorm(raw, layer.norm_eps, w.q_norm))
    return (np.concatenate([latent, raw], axis=-1) if layer.double_latent else latent), latent


def _scaled(layer: Any, latent: Array) -> Array:
    return latent * math.sqrt(layer.d_model / latent.shape[-1]) if layer.latent_scaled else latent


def _queries(layer: Any, w: Weights, source: Array, step: Step) -> tuple[Array, Array]:
    """The parts of each query without and with a place [b q h nope], [b q h rope]."""
    q = einsum("bqr,rhe->bqhe", source, w.wqb if layer.q_lora_rank else w.wq)
    q = q * temperature(layer, step.positions) if layer.temperature else q
    nope = layer.qk_nope_head_dim
    return q[..., :nope], _placed(layer, q[..., nope:], step)


def _latent(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> tuple[Array, Array]:
    """What is kept of each token in sight."""
    latent = rmsnorm(plus(einsum("bqd,dc->bqc", x, w.wkva), w.get("bkva")), layer.norm_eps, w.kv_norm)
    latent = _scaled(layer, latent)
    k_rope = plus(einsum("bqd,dr->bqr", x, w.wkr), w.get("bkr"))
    if layer.key_norm:
        k_rope = rmsnorm(k_rope, layer.norm_eps, w.kr_norm)
    k_rope = _placed(layer, k_rope[:, :, None], step)[:, :, 0]  # one key for all heads
    if state and "ckv" in state:
        latent = np.concatenate([state["ckv"], latent], axis=1)
        k_rope = np.concatenate([state["kr"], k_rope], axis=1)
    if state is not None:
        kept = min(latent.shape[1], layer.window - 1) if layer.window else latent.shape[1]
        start = latent.shape[1] - kept
        state["ckv"], state["kr"] = latent[:, start:], k_rope[:, start:]
    return latent, k_rope


def _expanded(
    layer: Any, w: Weights, q_nope: Array, q_rope: Array, latent: Array, k_rope: Array, hidden: Array
) -> Array:
    """Every head gets its keys and values."""
    k_nope, v = einsum("bkc,che->bkhe", latent, w.wkb), einsum("bkc,chv->bkhv", latent, w.wvb)
    shape = (*k_nope.shape[:3], k_rope.shape[-1])
    k = np.concatenate([k_nope, k_rope[:, :, None] + np.zeros(shape)], axis=-1)
    scores = einsum("bqhe,bkhe->bhqk", np.concatenate([q_nope, q_rope], axis=-1), k)
    return einsum("bhqk,bkhv->bqhv", _softmax(layer, w, scores, hidden), v)


def _absorbed(
    layer: Any, w: Weights, q_nope: Array, q_rope: Array, latent: Array, k_rope: Array, hidden: Array
) -> Array:
    """The up-projections move into the query and behind the mix, so that the cache is used as it is."""
    in_latent = einsum("bqhe,che->bqhc", q_nope, w.wkb)
    scores = einsum("bqhc,bkc->bhqk", in_latent, latent) + einsum("bqhe,bke->bhqk", q_rope, k_rope)
    mixed = einsum("bhqk,bkc->bqhc", _softmax(layer, w, scores, hidden), latent)
    return einsum("bqhc,chv->bqhv", mixed, w.wvb)


def _softmax(layer: Any, w: Weights, scores: Array, hidden: Array) -> Array:
    """The share of each key [b h q k]; sinks take theirs."""
    usual = 1 / math.sqrt(layer.qk_nope_head_dim + layer.qk_rope_head_dim)
    scores = scores * (usual if layer.scale is None else layer.scale)
    scores = np.where(hidden, -np.inf, scores) if hidden.any() else scores
    if layer.sinks:
        return softmax(scores, w.sinks[:, None, None])
    return softmax(scores)


def _hidden(layer: Any, step: Step, keys: int) -> Array:
    """Which keys a query does not see [q k], or of which an indexer has chosen others [b 1 q k]."""
    distance = step.positions[:, None] - np.arange(step.cached + step.ids.shape[1])[-keys:]
    hidden = distance < 0 if layer.causal else np.zeros(distance.shape, bool)
    if layer.window:
        hidden |= np.abs(distance) >= layer.window
    if not layer.index_topk:
        return hidden
    if step.not_chosen is None:
        raise InputError("no layer before this one has an indexer whose choice it could use", where="mla")
    return hidden | step.not_chosen[:, None, :, -keys:]


def _gated(layer: Any, w: Weights, mixed: Array, x: Array, source: Array) -> Array:
    """The heads' values [b q h v], times a sigmoid of the input or of what queries are made of."""
    if layer.gate == "none":
        return mixed
    axes = "bqr,rh->bqh" if layer.gate_per_head else "bqr,rhv->bqhv"
    gate = sigmoid(einsum(axes, source if layer.gate == "latent" else x, w.wgate))
    return mixed * (gate[..., None] if layer.gate_per_head else gate)


def _placed(layer: Any, x: Array, step: Step) -> Array:
    return rotate(layer, x, step.positions, layer.qk_rope_head_dim) if layer.rope else x
