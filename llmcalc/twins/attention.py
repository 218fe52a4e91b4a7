"""Attention [vaswani2017, Section 3.2] with grouped heads, windows, cross-attention and position encodings."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import InputError, UnsupportedError
from ..core.zoo_search import find_module
from . import gate, grid, indexer, lora, output_norm, qk_norm
from .functions import l2norm, plus, rmsnorm, softcap, softmax, times
from .positions import temperature
from .rope import rotate, rotate_pairs
from .step import State, Step, distances, extended
from .weights import Array, Weight, Weights, matrix, under, vector


def weights(layer: Any) -> list[Weight]:
    """Return the query, key, value and output projections with their biases, and the weights of the options."""
    if layer.rope and layer.rope.grid == "other":
        raise UnsupportedError("the NumPy model does not implement this grid of rotary positions", where="attention")
    if layer.inputs and layer.inputs.value_width and not layer.inputs.values_of:
        raise UnsupportedError("the NumPy model supports inputs.value_width only with values_of", where="attention")
    if layer.prompt and layer.causal:
        raise UnsupportedError("the NumPy model supports a prompt only without causal masking", where="attention")
    d, h, g, e, v = layer.d_model, layer.n_heads, layer.n_kv_heads, layer.d_head, layer.d_head_v
    own = (layer.inputs and layer.inputs.width) or d
    source = layer.cross.d_source if layer.cross else own
    of_values = (layer.inputs and layer.inputs.value_width) or source
    own_keys = not (layer.kv and layer.kv.reused)
    own_values = own_keys and not (layer.kv and layer.kv.values_are_keys)
    gates = gate.weights(layer, own)  # the projection and its bias
    found: list[tuple[bool, Weight]] = [
        (True, matrix("wq", own, (h, e))),
        (own_keys, matrix("wk", source, (g, e))),
        (own_values, matrix("wv", of_values, (g, v))),
        *((True, weight) for weight in gates[:1]),
        (True, matrix("wo", (h, v), d)),
        (layer.q_bias, vector("bq", h, e)),
        (layer.k_bias and own_keys, vector("bk", g, e)),
        (layer.v_bias and own_keys, vector("bv", g, v)),
        *((True, weight) for weight in gates[1:]),
        (layer.o_bias, vector("bo", d)),
        (layer.sinks, vector("sinks", h)),
    ]
    present = [weight for is_there, weight in found if is_there]
    present += [*qk_norm.weights(layer), *output_norm.weights(layer)]
    present += score_bias(layer).weights(layer) if layer.score_bias else []
    present += lora.weights(layer.lora, own, {"q": (h, e), "k": (g, e), "v": (g, v)})
    return present + (under("indexer", indexer.weights(_indexer(layer))) if layer.indexer else [])


def score_bias(layer: Any) -> Any:
    """Return the NumPy model of the position bias."""
    place = find_module("score_biases", layer.score_bias.kind(), "twins")
    if place is None:
        text = f"the NumPy model does not implement score_bias: {layer.score_bias.kind()}"
        raise UnsupportedError(text, where="attention")
    return import_module(place)


def _indexer(layer: Any) -> indexer.Indexer:
    part = layer.indexer
    settings = {"unit_offset": part.unit_offset, "norm_eps": part.norm_eps, "pooled": part.pooled}
    settings |= {"block": part.block, "local": part.local, "key_norm": "rmsnorm"}
    rotated = min(layer.rope.dim, part.dim // 2 * 2) if layer.rope else 0
    sizes = layer.d_model, part.n_heads, part.dim, part.top_k
    return indexer.Indexer(*sizes, rotated, weighted=False, query_norm=True, **settings)


def forward(
    layer: Any, w: Weights, x: Array, step: Step, state: State | None, adjust: Callable[..., Array] | None = None
) -> Array:
    """Compute ``y[b q d] = softmax(q kᵀ · scale + bias) v · wo`` for the new tokens ``x[b q d]``.

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
    step.must_have_copies(layer.cross.streams if layer.cross else 1, layer.kind())
    if step.grid and layer.merge != step.n_merged:
        text = f"the input must have {layer.merge} merged patches per position, not {step.n_merged}"
        raise UnsupportedError(text, where=layer.kind())
    return times(x, layer.multipliers.input) if layer.multipliers else x


def project_output(
    layer: Any, w: Weights, x: Array, mixed: Array, gate_scale: Array | None = None, unit: bool = False
) -> Array:
    """Apply the norms, gate and output projection to head outputs [b q h v]. ``unit`` normalises the joined heads."""
    mixed = output_norm.normalise(layer.o_norm, "head", w, mixed)
    mixed = gate.apply_gate(layer.gate, w, x, mixed, gate_scale)
    mixed = output_norm.normalise(layer.o_norm, "projection", w, mixed)
    if unit:
        mixed = l2norm(mixed.reshape(*mixed.shape[:2], -1)).reshape(mixed.shape)
    y = plus(einsum("bqhv,hvd->bqd", mixed, w.wo), w.get("bo"))
    return times(y, layer.multipliers.output) if layer.multipliers else y


def attention_scores(
    layer: Any, w: Weights, x: Array, step: Step, state: State | None, q_scale: Array | None = None
) -> tuple[Array, Array, Array]:
    """Return biased and masked scores [b g r q k], values [b k g v], and queries [b q g r e]."""
    q = normalise_and_rotate(layer, w, "q", project(layer, w, "q", x, step), step)
    q = q if q_scale is None else q * q_scale
    if layer.temperature:
        q = q * temperature(layer.temperature, step.positions)
    if layer.indexer:
        step.unselected = indexer.unselected_tokens(_indexer(layer), layer, w.part("indexer"), x, None, step, state)
    k, v = _keys_and_values(layer, w, x, step, state)  # [b k g e], [b k g v]
    if uses_windows(layer):
        q, k, v = (grid.split_windows(part, step, layer.chunk) for part in (q, k, v))
    b, new, h, e = q.shape
    g = k.shape[2]
    q = q.reshape(b, new, g, h // g, e)  # each key head serves h / g query heads
    scale = 1 / math.sqrt(e) if layer.scale is None else layer.scale
    scores = einsum("bqgre,bkge->bgrqk", q, k)
    bias: Any = score_bias(layer) if layer.score_bias else None
    if getattr(bias, "BEFORE_SCALING", False):
        scores = scores + bias.scores(layer, w, q, step, k.shape[1])
    scores = scores * scale
    if layer.logit_softcap:
        scores = softcap(scores, layer.logit_softcap)
    if bias and not getattr(bias, "BEFORE_SCALING", False) and not layer.cross:
        scores = scores + bias.scores(layer, w, q, step, k.shape[1])
    return _mask_scores(layer, scores, step), v, q


def _keys_and_values(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> tuple[Array, Array]:
    """Return the keys and values of the cached and new tokens, and update the cache."""
    shared = (layer.window, layer.chunk, layer.n_kv_heads, layer.d_head, layer.d_head_v)
    kv, inputs = layer.kv, layer.inputs
    if kv and kv.reused:
        if shared not in step.shared_keys:
            raise InputError("no earlier layer has keys and values for this layer to reuse", where="attention")
        return step.shared_keys[shared]
    if layer.cross and state:
        return state["k"], state["v"]
    source = step.source if layer.cross else x
    if source is None:
        raise InputError("missing encoder output for cross-attention", where="attention")
    k = project(layer, w, "k", source, step)
    values = step.sublayer_inputs[inputs.values_of] if inputs and inputs.values_of else source
    v = k if kv and kv.values_are_keys else project(layer, w, "v", values, step)
    v = times(v, layer.multipliers.value) if layer.multipliers else v
    if kv and kv.norm:
        v = rmsnorm(v, kv.norm_eps)
    k, v = normalise_and_rotate(layer, w, "k", k, step), _clip(layer, v)
    v = apply_positions(layer, v, step) if kv and kv.rope else v
    k, v = extended(state if layer.causal or layer.cross else None, _n_kept(layer, step), k=k, v=v)
    step.shared_keys[shared] = k, v
    return k, v


def _n_kept(layer: Any, step: Step) -> int | None:
    """Return the number of keys that the next token can attend to, or None if it can attend to all."""
    if layer.cross or not (layer.window or layer.chunk):
        return None
    return int(layer.window - 1 if layer.window else (step.cached + step.ids.shape[1]) % layer.chunk)


def project(layer: Any, w: Weights, name: str, x: Array, step: Step) -> Array:
    """Project the input to queries, keys or values [b q heads e], including any LoRA adapter [glorioso2024b]."""
    y = plus(einsum("bqd,dhe->bqhe", x, getattr(w, f"w{name}")), w.get(f"b{name}"))
    return lora.add(layer.lora, w, name, x, y, step)


def normalise_and_rotate(layer: Any, w: Weights, name: str, x: Array, step: Step) -> Array:
    """Normalise, clip and rotate queries or keys [b q heads e]."""
    norm = layer.qk_norm
    if norm and not norm.late:
        x = qk_norm.normalise(norm, w, name, x)
    x = _clip(layer, x)
    x = x if layer.cross else apply_positions(layer, x, step)
    return qk_norm.normalise(norm, w, name, x) if norm and norm.late else x


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


def _mask_scores(layer: Any, scores: Array, step: Step) -> Array:
    """Set the scores [b g r q k] of masked keys to -inf."""
    if layer.cross:
        return scores
    distance = distances(step, scores.shape[-1])  # positive: the key is earlier
    queries = step.positions
    keys = queries[0] - distance[0]
    hidden = np.zeros(distance.shape, bool)
    if layer.causal:
        hidden |= distance < 0
    if layer.window:
        hidden |= (distance >= layer.window) | (-distance >= (layer.window_ahead or layer.window))
    if layer.chunk and layer.causal:
        hidden |= queries[:, None] // layer.chunk != keys // layer.chunk
    if layer.indexer:
        unselected: Array = step.unselected  # [b q k] or [b g q k]
        unselected = unselected[:, None] if unselected.ndim == 3 else unselected
        if unselected.shape[1] not in (1, layer.n_kv_heads):
            text = f"indexer.n_heads ({layer.indexer.n_heads}) must be 1 or n_kv_heads ({layer.n_kv_heads})"
            raise UnsupportedError(text, where="attention")
        hidden = hidden | unselected[:, :, None]
    return np.where(hidden, -np.inf, scores) if hidden.any() else scores


def mix(layer: Any, w: Weights, scores: Array, v: Array, q: Array, step: Step) -> Array:
    """Return the softmax-weighted sums [b q g r v] of the values, including any sinks and learned prefix."""
    keys, prefix = scores.shape[-1], layer.kv.prefix if layer.kv else None
    if prefix:
        mine = step.prefix[-1 if layer.cross else 0] if step.prefix else []
        if not mine or mine[0][0].shape[-1] != layer.n_kv_heads * layer.d_head:
            raise UnsupportedError("the learned prefix does not match this layer", where="attention")
        k0, v0 = (part.reshape(prefix, layer.n_kv_heads, -1) for part in mine.pop(0))
        scores = np.concatenate([scores, einsum("bqgre,kge->bgrqk", q, k0) / math.sqrt(layer.d_head)], axis=-1)
    p = attention_weights(layer, w, scores)
    mixed = einsum("bgrqk,bkgv->bqgrv", p[..., :keys], v)
    return mixed + einsum("bgrqk,kgv->bqgrv", p[..., -prefix:], v0) if prefix else mixed


def attention_weights(layer: Any, w: Weights, scores: Array) -> Array:
    """Return the softmax of the scores [b g r q k], with the sinks in the denominator."""
    if not layer.sinks:
        return softmax(scores)
    return softmax(scores, w.sinks.reshape(scores.shape[1], scores.shape[2], 1, 1))
