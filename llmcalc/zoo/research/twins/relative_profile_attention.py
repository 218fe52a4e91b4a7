"""Attention with a relative position bias mixed from learned profiles (Inkling)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.convolution import causal_convolution, causal_dynamic_convolution
from ....twins.functions import operation, rmsnorm, sigmoid, softmax
from ....twins.heads import extend_cache, grouped_mix, grouped_scores, join
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, kernel, matrix, table, vector

SMALL = 1e-6  # added to a length before dividing by it


def weights(layer: Any) -> list[Weight]:
    """Return the projections, kernels, profiles, norms or scales, gate, and sinks."""
    d, h, g, e, profiles = layer.d_model, layer.n_heads, layer.n_kv_heads, layer.d_head, layer.d_profile
    found = [vector(f"{name}_input", d, mean=1.0) for name in "qkv"] if layer.own_inputs else []
    found += [matrix("wq", d, (h, e)), matrix("wk", d, (g, e)), matrix("wv", d, (g, e)), matrix("wr", d, (h, profiles))]
    found += [table("profiles", profiles, layer.reach), matrix("wo", (h, e), d)]
    if layer.norm == "rmsnorm":
        found += [vector("q_norm", e, mean=1.0), vector("k_norm", e, mean=1.0)]
    else:
        found += [table("q_scale", h, e)._replace(mean=1.0), table("r_scale", h, profiles)._replace(mean=1.0)]
    if layer.dynamic:
        found += [Weight(f"taps_{name}", ((layer.d_conv,), (g, e))) for name in "kv"]
        found += [matrix(f"wc{name}", d, (g, layer.d_conv)) for name in "kv"]
    else:
        found += [kernel(f"conv_{name}", (g, e), layer.d_conv) for name in "kv"]
    found += [matrix("wgate", d, (h, e))] if layer.gated else []
    return found + ([matrix("wsink", d, h)] if layer.sinks else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(q kᵀ · scale + bias) v · wo`` for new tokens ``x`` [b q d] or separate inputs [b q 3 d]."""
    xq, xk, xv = _inputs(layer, w, x)
    q, bias = _queries_and_bias(layer, w, xq, step)
    k, v = _convolve(layer, w, "k", xk, state), _convolve(layer, w, "v", xv, state)
    k, v = extend_cache(k, v, state, layer.window)
    scale = 1 / math.sqrt(layer.d_head) if layer.scale is None else layer.scale
    scores = _mask_and_bias(layer, grouped_scores(q, k) * scale, bias, step)
    mixed = grouped_mix(softmax(scores, _sinks(layer, w, xq)) if layer.sinks else softmax(scores), v)
    if layer.gated:
        mixed = mixed * sigmoid(einsum("bqd,dhe->bqhe", xq, w.wgate))
    return join(w, mixed)


def _inputs(layer: Any, w: Weights, x: Array) -> list[Array]:
    """Return the inputs of the queries, keys and values, normalised if ``own_inputs`` is set."""
    if (len(x.shape) == 4) != layer.separate:
        text = f"the input must have {'three vectors' if layer.separate else 'one vector'} per token"
        raise UnsupportedError(text, where=layer.kind())
    parts = [x[:, :, number] if layer.separate else x for number in range(3)]
    if not layer.own_inputs:
        return parts
    norms = (getattr(w, f"{name}_input") for name in "qkv")
    return [rmsnorm(part, layer.norm_eps, norm) for part, norm in zip(parts, norms, strict=True)]


def _queries_and_bias(layer: Any, w: Weights, x: Array, step: Step) -> tuple[Array, Array]:
    """Return the queries [b q h e] and the biases [b q h distance] for all distances."""
    q, r = einsum("bqd,dhe->bqhe", x, w.wq), einsum("bqd,dhr->bqhr", x, w.wr)
    if layer.norm == "rmsnorm":
        q = rmsnorm(q, layer.norm_eps, w.q_norm)
    else:
        q, r = clip_length(q * w.q_scale, layer.clip), clip_length(r * w.r_scale, layer.profile_clip)
    if layer.stretch:
        grown = np.log(np.maximum((step.positions + 1) / layer.stretch_from, 1.0))
        factor = (1.0 + layer.stretch * grown)[:, None, None]
        q, r = q * factor, r * factor
    return q, einsum("bqhr,rn->bqhn", r, w.profiles)


@operation
def clip_length(x: Array, bound: float) -> Array:
    """Scale each vector down to a length of at most ``bound``."""
    length = np.sqrt(np.sum(x * x, axis=-1, keepdims=True))
    return x * np.minimum(bound / (length + SMALL), 1.0)


def _convolve(layer: Any, w: Weights, name: str, x: Array, state: State | None) -> Array:
    """Return the new tokens' convolved and normalised keys or values [b q g e]."""
    y = einsum("bqd,dge->bqge", x, getattr(w, f"w{name}"))
    if layer.dynamic:
        own = einsum("bqd,dgk->bqgk", x, getattr(w, f"wc{name}"))
        fixed = np.transpose(getattr(w, f"taps_{name}"), (1, 2, 0))  # [g e k], the token itself first
        convolution = causal_dynamic_convolution(y, own[:, :, :, None] + fixed, state, f"conv_{name}")
    else:
        convolution = causal_convolution(y, getattr(w, f"conv_{name}"), None, state, f"conv_{name}")
    y = convolution + y
    if layer.norm == "rmsnorm":
        return rmsnorm(y, layer.norm_eps, w.k_norm) if name == "k" else y
    y = y * (1 / math.sqrt((2 if layer.dynamic else 1) * layer.d_conv + 1))
    return clip_length(y, layer.clip) if name == "k" else rmsnorm(y, layer.norm_eps)


def _mask_and_bias(layer: Any, scores: Array, bias: Array, step: Step) -> Array:
    """Add the distance biases [b q h distance] to the scores [b g r q k], and set masked scores to -inf."""
    queries, keys = step.positions, np.arange(step.cached + step.ids.shape[1])[-scores.shape[-1] :]
    distance = queries[:, None] - keys  # [q k]; positive: the key is earlier
    near = np.clip(distance, 0, layer.reach - 1)
    of_pairs = np.transpose(bias[:, np.arange(len(queries))[:, None], :, near], (2, 3, 0, 1))  # [b h q k]
    of_pairs = of_pairs.reshape(scores.shape[0], *scores.shape[1:3], *distance.shape)
    scores = scores + np.where(distance >= layer.reach, 0.0, of_pairs)
    hidden = distance < 0
    if layer.window:
        hidden = hidden | (distance >= layer.window)
    return np.where(hidden, -np.inf, scores) if hidden.any() else scores


def _sinks(layer: Any, w: Weights, x: Array) -> Array:
    """Return the sink logits [b g r q 1] for the softmax denominator, one per head and token."""
    sinks = np.transpose(einsum("bqd,dh->bqh", x, w.wsink), (0, 2, 1))
    return sinks.reshape(x.shape[0], layer.n_kv_heads, -1, x.shape[1], 1)
