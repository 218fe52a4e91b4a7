"""Attention [vaswani2017, Section 3.2] with grouped heads, windows, cross-attention and position encodings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import InputError, UnsupportedError
from . import functions, gate, grid, indexer
from .embedding import sinusoids
from .functions import l2norm, plus, rmsnorm, softcap, softmax, times
from .positions import alibi_slopes, buckets, temperature
from .rope import rotate, rotate_pairs
from .step import State, Step
from .weights import Array, Weight, Weights, adapters, matrix, table, under, vector

SCORE_BIASES = ("none", "alibi", "relative", "projected")


def weights(layer: Any) -> list[Weight]:
    """Return the query, key, value and output projections, biases, gate, norms, sinks and relative position biases."""
    if layer.score_bias not in SCORE_BIASES:
        raise UnsupportedError(f"the NumPy model does not implement score_bias: {layer.score_bias}", where="attention")
    if layer.rope and layer.rope.grid == "other":
        raise UnsupportedError("the NumPy model does not implement this grid of rotary positions", where="attention")
    if layer.d_input_v and not layer.values_of:
        raise UnsupportedError("the NumPy model supports d_input_v only with values_of", where="attention")
    if layer.prompt and layer.causal:
        raise UnsupportedError("the NumPy model supports a prompt only without causal masking", where="attention")
    d, h, g, e, v = layer.d_model, layer.n_heads, layer.n_kv_heads, layer.d_head, layer.d_head_v
    own = layer.d_input or d
    source = layer.d_source if layer.cross else own
    own_keys = not layer.kv_reused
    gates = gate.weights(layer)  # the projection and its bias
    norms = {"head": ((e,), (e,)), "per_head": ((h, e), (g, e)), "projection": ((h, e), (g, e))}.get(layer.qk_norm, ())
    made_of = table if layer.qk_norm == "per_head" else vector
    named = [name for name in ("q_norm", "k_norm")[: len(norms)] if own_keys or name == "q_norm"]
    found: list[tuple[bool, Weight]] = [
        (True, matrix("wq", own, (h, e))),
        (own_keys, matrix("wk", source, (g, e))),
        (own_keys and not layer.values_are_keys, matrix("wv", layer.d_input_v or source, (g, v))),
        *((True, weight) for weight in gates[:1]),
        (True, matrix("wo", (h, v), d)),
        (layer.q_bias, vector("bq", h, e)),
        (layer.k_bias and own_keys, vector("bk", g, e)),
        (layer.v_bias and own_keys, vector("bv", g, v)),
        *((True, weight) for weight in gates[1:]),
        (layer.o_bias, vector("bo", d)),
        *((layer.qk_norm_scale, made_of(name, *size)) for name, size in zip(named, norms, strict=False)),
        *((layer.qk_norm_bias, made_of(f"{name}_b", *size)) for name, size in zip(named, norms, strict=False)),
        (layer.o_norm, vector("o_norm", h, v, mean=1.0)),
        (layer.o_norm and layer.o_norm_function == "layernorm", vector("o_norm_b", h, v)),
        (layer.sinks, vector("sinks", h)),
        (layer.score_bias == "relative", relative_table(layer)),
        (layer.score_bias == "projected", matrix("wr", d, (h, e))),
    ]
    present = [weight for is_there, weight in found if is_there]
    if layer.adapter_rank:
        rank, places = layer.adapter_rank, layer.n_adapters
        for name, size in (("wq", (h, e)), ("wk", (g, e)), ("wv", (g, v))):
            present += [adapters(f"{name}_a", own, rank, places), adapters(f"{name}_b", rank, size, places)]
    return present + (under("indexer", indexer.weights(_indexer(layer))) if layer.index_heads else [])


def _indexer(layer: Any) -> indexer.Indexer:
    sizes = layer.d_model, layer.index_heads, layer.index_dim, layer.index_topk
    settings = {"unit_offset": layer.index_unit_offset, "norm_eps": layer.qk_norm_eps, "pooled": layer.index_pooled}
    settings |= {"block": layer.index_block, "local": layer.index_local, "key_norm": "rmsnorm"}
    rotated = min(layer.rope.dim, layer.index_dim // 2 * 2) if layer.rope else 0
    return indexer.Indexer(*sizes, rotated, weighted=False, query_norm=True, **settings)


def relative_table(layer: Any) -> Weight:
    """Return the bias table [buckets heads] for relative distances. In T5, all layers of a stack share this table."""
    share = ".relative_bias" if layer.relative_shared else None
    return table("relative_bias", layer.n_buckets or 1, layer.n_heads, share=share)


def forward(
    layer: Any, w: Weights, x: Array, step: Step, state: State | None, adjust: Callable[..., Array] | None = None
) -> Array:
    """Compute ``softmax(q kᵀ · scale + bias) v · wo`` for the new tokens ``x`` [b q d].

    ``adjust`` computes new scores [b g r q k] from scores, values [b k g v] and queries [b q g r e].
    """
    x = prepare_input(layer, x, step)
    scores, v, q = attention_scores(layer, w, x, step, state)
    scores = adjust(scores, v, q) if adjust else scores
    mixed = mix(layer, w, scores, v, q, step)
    mixed = grid.join_windows(mixed, step, layer.chunk) if uses_windows(layer) else mixed
    return project_output(layer, w, x, mixed.reshape(*x.shape[:2], layer.n_heads, v.shape[3]))


def uses_windows(layer: Any) -> bool:
    """Return whether each patch attends only to patches in its window."""
    return bool(layer.chunk) and not layer.causal


def prepare_input(layer: Any, x: Array, step: Step) -> Array:
    """Check the input format, and return the scaled input."""
    step.must_have_copies(layer.streams, layer.kind())
    if step.grid and layer.merge != step.n_merged:
        text = f"the input must have {layer.merge} merged patches per position, not {step.n_merged}"
        raise UnsupportedError(text, where=layer.kind())
    return times(x, layer.in_scale)


def project_output(
    layer: Any, w: Weights, x: Array, mixed: Array, gate_scale: Array | None = None, unit: bool = False
) -> Array:
    """Apply the norms, gate and output projection to head outputs [b q h v]. ``unit`` normalises the joined heads."""
    mixed = rmsnorm(mixed, layer.qk_norm_eps) if layer.head_norm else mixed
    mixed = gate.apply_gate(layer.gate, w, x, mixed, gate_scale)
    if layer.o_norm:
        flat, bias = mixed.reshape(*mixed.shape[:2], -1), w.get("o_norm_b")
        flat_bias = None if bias is None else bias.reshape(-1)
        flat = functions.normalise(layer.o_norm_function, flat, layer.qk_norm_eps, w.o_norm.reshape(-1), flat_bias)
        mixed = flat.reshape(mixed.shape)
    if unit:
        mixed = l2norm(mixed.reshape(*mixed.shape[:2], -1)).reshape(mixed.shape)
    return times(plus(einsum("bqhv,hvd->bqd", mixed, w.wo), w.get("bo")), layer.out_scale)


def attention_scores(
    layer: Any, w: Weights, x: Array, step: Step, state: State | None, q_scale: Array | None = None
) -> tuple[Array, Array, Array]:
    """Return biased and masked scores [b g r q k], values [b k g v], and queries [b q g r e]."""
    q = normalise_and_rotate(layer, w, "q", project(layer, w, "q", x, step), step)
    q = q if q_scale is None else q * q_scale
    if layer.temperature:
        q = q * temperature(layer, step.positions)
    if layer.index_heads:
        step.unselected = indexer.unselected_tokens(_indexer(layer), layer, w.part("indexer"), x, None, step, state)
    k, v = _keys_and_values(layer, w, x, step, state)  # [b k g e], [b k g v]
    if uses_windows(layer):
        q, k, v = (grid.split_windows(part, step, layer.chunk) for part in (q, k, v))
    b, new, h, e = q.shape
    g = k.shape[2]
    q = q.reshape(b, new, g, h // g, e)  # each key head serves h / g query heads
    scale = 1 / math.sqrt(e) if layer.scale is None else layer.scale
    scores = einsum("bqgre,bkge->bgrqk", q, k)
    if layer.score_bias == "projected":
        scores = scores + _distance_scores(layer, w, q, step, k.shape[1])
    scores = scores * scale
    if layer.logit_softcap:
        scores = softcap(scores, layer.logit_softcap)
    return _mask_scores(layer, w, scores, step), v, q


def _keys_and_values(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> tuple[Array, Array]:
    """Return the keys and values of the cached and new tokens, and update the cache."""
    shared = (layer.window, layer.chunk, layer.n_kv_heads, layer.d_head, layer.d_head_v)
    if layer.kv_reused:
        if shared not in step.shared_keys:
            raise InputError("no earlier layer has keys and values for this layer to reuse", where="attention")
        return step.shared_keys[shared]
    if layer.cross and state:
        return state["k"], state["v"]
    source = step.source if layer.cross else x
    if source is None:
        raise InputError("missing encoder output for cross-attention", where="attention")
    k = project(layer, w, "k", source, step)
    values = step.sublayer_inputs[layer.values_of] if layer.values_of else source
    v = k if layer.values_are_keys else project(layer, w, "v", values, step)
    v = times(v, layer.value_scale)
    if layer.v_norm:
        v = rmsnorm(v, layer.qk_norm_eps)
    k, v = normalise_and_rotate(layer, w, "k", k, step), _clip(layer, v)
    v = apply_positions(layer, v, step) if layer.v_rope else v
    if state and "k" in state:
        k, v = np.concatenate([state["k"], k], axis=1), np.concatenate([state["v"], v], axis=1)
    if state is not None and (layer.causal or layer.cross):
        first = k.shape[1] - _n_cached_keys(layer, step, k.shape[1])
        state["k"], state["v"] = k[:, first:], v[:, first:]
    step.shared_keys[shared] = k, v
    return k, v


def _n_cached_keys(layer: Any, step: Step, keys: int) -> int:
    """Return the number of cached keys that the next token can attend to."""
    if layer.window and not layer.cross:
        return min(keys, int(layer.window) - 1)
    if layer.chunk and not layer.cross:
        return int(step.cached + step.ids.shape[1]) % int(layer.chunk)
    return keys


def project(layer: Any, w: Weights, name: str, x: Array, step: Step) -> Array:
    """Project the input to queries, keys or values [b q heads e], including any LoRA adapter [glorioso2024b]."""
    y = plus(einsum("bqd,dhe->bqhe", x, getattr(w, f"w{name}")), w.get(f"b{name}"))
    if not layer.adapter_rank:
        return y
    narrow = einsum("bqd,da->bqa", x, getattr(w, f"w{name}_a")[step.use_index])
    return y + einsum("bqa,ahe->bqhe", narrow, getattr(w, f"w{name}_b")[step.use_index])


def normalise_and_rotate(layer: Any, w: Weights, name: str, x: Array, step: Step) -> Array:
    """Normalise, clip and rotate queries or keys [b q heads e]."""
    if not layer.qk_norm_late:
        x = normalise(layer, w, name, x)
    x = _clip(layer, x)
    x = x if layer.cross else apply_positions(layer, x, step)
    return normalise(layer, w, name, x) if layer.qk_norm_late else x


def normalise(layer: Any, w: Weights, name: str, x: Array) -> Array:
    """Normalise ``x`` [b q heads e] with the QK norm, either per head or over all heads."""
    if layer.qk_norm == "none":
        return x
    scale, bias = w.get(f"{name}_norm"), w.get(f"{name}_norm_b")
    if scale is not None and layer.qk_norm_unit_offset:
        scale = 1.0 + scale
    flat = x
    if layer.qk_norm == "projection":
        flat = x.reshape(*x.shape[:2], -1)
        scale, bias = (part if part is None else part.reshape(-1) for part in (scale, bias))
    return functions.normalise(layer.qk_norm_function, flat, layer.qk_norm_eps, scale, bias).reshape(x.shape)


def _clip(layer: Any, x: Array) -> Array:
    return np.clip(x, -layer.clip, layer.clip) if layer.clip else x


def apply_positions(layer: Any, x: Array, step: Step) -> Array:
    """Apply rotary position embeddings, if enabled, to queries or keys [b q heads e]."""
    rope = layer.rope
    if rope is None:
        return x
    if rope.grid != "none":
        if rope.scaling or rope.dim != x.shape[-1] or x.shape[-1] % 4:
            raise UnsupportedError("grid positions require fully rotated heads without scaling")
        turns = grid.angles(rope, step, x.shape[-1])[:, None]
        return rotate_pairs(x, np.sin(turns), np.cos(turns), rope.interleaved)
    if step.angles is None:
        return rotate(rope, x, step.positions, rope.dim)
    if step.angles.shape[-1] != x.shape[-1]:
        raise UnsupportedError("the width of the angle table must equal the head size", where="attention")
    sin, cos = np.split(step.angles[:, None], 2, axis=-1)
    return rotate_pairs(x, sin, cos, rope.interleaved)


def _mask_scores(layer: Any, w: Weights, scores: Array, step: Step) -> Array:
    """Add position biases to the scores [b g r q k], and set the scores of masked keys to -inf."""
    if layer.cross:
        return scores
    queries, keys = step.positions, np.arange(step.cached + step.ids.shape[1])[-scores.shape[-1] :]
    distance = queries[:, None] - keys  # [q k]; positive: the key is earlier
    grouped = (*scores.shape[1:3], *distance.shape)
    if layer.score_bias == "alibi":
        bias = -layer.alibi_scale * alibi_slopes(layer.n_heads)[:, None, None] * np.abs(distance)
        scores = scores + bias.reshape(grouped)
    if layer.score_bias == "relative":
        bucket = buckets(layer.n_buckets, layer.max_distance, -distance, causal=layer.causal)
        scores = scores + np.transpose(w.relative_bias[bucket], (2, 0, 1)).reshape(grouped)  # [h q k]
    hidden = np.zeros(distance.shape, bool)
    if layer.causal:
        hidden |= distance < 0
    if layer.window:
        hidden |= (distance >= layer.window) | (-distance >= (layer.window_ahead or layer.window))
    if layer.chunk and layer.causal:
        hidden |= queries[:, None] // layer.chunk != keys // layer.chunk
    if layer.index_heads:
        unselected: Array = step.unselected  # [b q k] or [b g q k]
        unselected = unselected[:, None] if unselected.ndim == 3 else unselected
        if unselected.shape[1] not in (1, layer.n_kv_heads):
            text = f"index_heads ({layer.index_heads}) must be 1 or n_kv_heads ({layer.n_kv_heads})"
            raise UnsupportedError(text, where="attention")
        hidden = hidden | unselected[:, :, None]
    return np.where(hidden, -np.inf, scores) if hidden.any() else scores


def _distance_scores(layer: Any, w: Weights, q: Array, step: Step, keys: int) -> Array:
    """Return scores [b g r q k] between queries and projected sinusoids of the distances [dai2019, Section 3.3]."""
    places = einsum("kd,dhe->khe", sinusoids(np.arange(keys), layer.d_model), w.wr)
    _, new, g, served, e = q.shape
    products = einsum("bqgre,kgre->bgrqk", q, places.reshape(keys, g, served, e))
    first = step.cached + new - keys
    distance = np.maximum(step.positions[:, None] - first - np.arange(keys), 0)  # later keys are masked anyway
    return products[:, :, :, np.arange(new)[:, None], distance]


def mix(layer: Any, w: Weights, scores: Array, v: Array, q: Array, step: Step) -> Array:
    """Return the softmax-weighted sums [b q g r v] of the values, including any sinks and learned prefix."""
    keys = scores.shape[-1]
    if layer.prefix:
        mine = step.prefix[-1 if layer.cross else 0] if step.prefix else []
        if not mine or mine[0][0].shape[-1] != layer.n_kv_heads * layer.d_head:
            raise UnsupportedError("the learned prefix does not match this layer", where="attention")
        k0, v0 = (part.reshape(layer.prefix, layer.n_kv_heads, -1) for part in mine.pop(0))
        scores = np.concatenate([scores, einsum("bqgre,kge->bgrqk", q, k0) / math.sqrt(layer.d_head)], axis=-1)
    p = attention_weights(layer, w, scores)
    mixed = einsum("bgrqk,bkgv->bqgrv", p[..., :keys], v)
    if layer.prefix:
        mixed = mixed + einsum("bgrqk,kgv->bqgrv", p[..., -layer.prefix :], v0)
    return mixed


def attention_weights(layer: Any, w: Weights, scores: Array) -> Array:
    """Return the softmax of the scores [b g r q k], with the sinks in the denominator."""
    if not layer.sinks:
        return softmax(scores)
    return softmax(scores, w.sinks.reshape(scores.shape[1], scores.shape[2], 1, 1))
