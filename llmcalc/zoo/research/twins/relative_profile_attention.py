"""Attention with a bias by distance that each token mixes of learned profiles (Inkling)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.convolution import causal_convolution, causal_dynamic_convolution
from ....twins.functions import operation, rmsnorm, sigmoid, softmax
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, kernel, matrix, table, vector

SMALL = 1e-6  # added to a length before a bound is divided by it


def weights(layer: Any) -> list[Weight]:
    """Projections, taps, profiles; norms or scales; gate and sinks."""
    d, h, g, e, wide = layer.d_model, layer.n_heads, layer.n_kv_heads, layer.d_head, layer.d_profile
    found = [vector(f"{name}_input", d, mean=1.0) for name in "qkv"] if layer.own_inputs else []
    found += [matrix("wq", d, (h, e)), matrix("wk", d, (g, e)), matrix("wv", d, (g, e)), matrix("wr", d, (h, wide))]
    found += [table("profiles", wide, layer.reach), matrix("wo", (h, e), d)]
    if layer.norm == "rmsnorm":
        found += [vector("q_norm", e, mean=1.0), vector("k_norm", e, mean=1.0)]
    else:
        found += [table("q_scale", h, e)._replace(mean=1.0), table("r_scale", h, wide)._replace(mean=1.0)]
    if layer.dynamic:
        found += [Weight(f"taps_{name}", ((layer.d_conv,), (g, e))) for name in "kv"]
        found += [matrix(f"wc{name}", d, (g, layer.d_conv)) for name in "kv"]
    else:
        found += [kernel(f"conv_{name}", (g, e), layer.d_conv) for name in "kv"]
    return found + [matrix(*made) for made in _optional(layer)]


def _optional(layer: Any) -> list[tuple[Any, ...]]:
    gate = [("wgate", layer.d_model, (layer.n_heads, layer.d_head))] if layer.gated else []
    return gate + ([("wsink", layer.d_model, layer.n_heads)] if layer.sinks else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``softmax(q kᵀ · scale + bias) v · wo``, for the new tokens ``x`` [b q d], or [b q 3 d] where separate."""
    xq, xk, xv = _inputs(layer, w, x)
    q, bias = _queries(layer, w, xq, step)
    k, v = (_behind(layer, w, name, source, state) for name, source in (("k", xk), ("v", xv)))
    k, v = _kept(layer, k, v, state)
    b, new, h, e = q.shape
    grouped = q.reshape(b, new, layer.n_kv_heads, -1, e)
    scale = 1 / math.sqrt(e) if layer.scale is None else layer.scale
    scores = einsum("bqgre,bkge->bgrqk", grouped, k) * scale
    scores = _biased(layer, scores, bias, step)
    p = softmax(scores, _sinks(layer, w, xq)) if layer.sinks else softmax(scores)
    mixed = einsum("bgrqk,bkge->bqgre", p, v).reshape(b, new, h, e)
    if layer.gated:
        mixed = mixed * sigmoid(einsum("bqd,dhe->bqhe", xq, w.wgate))
    return einsum("bqhe,hed->bqd", mixed, w.wo)


def _inputs(layer: Any, w: Weights, x: Array) -> tuple[Array, Array, Array]:
    """What queries, keys and values are made of: one stream, or one of three each."""
    if (len(x.shape) == 4) != layer.separate:
        raise UnsupportedError(
            "what it reads are one vector for each token, or three where separate", where=layer.kind()
        )
    parts = (x[:, :, 0], x[:, :, 1], x[:, :, 2]) if layer.separate else (x, x, x)
    if not layer.own_inputs:
        return parts
    q, k, v = (
        rmsnorm(part, layer.norm_eps, getattr(w, f"{name}_input")) for name, part in zip("qkv", parts, strict=True)
    )
    return q, k, v


def _queries(layer: Any, w: Weights, x: Array, step: Step) -> tuple[Array, Array]:
    """Queries [b q h e], and what the profiles say of each distance [b q h distance]."""
    q, r = einsum("bqd,dhe->bqhe", x, w.wq), einsum("bqd,dhr->bqhr", x, w.wr)
    if layer.norm == "rmsnorm":
        q = rmsnorm(q, layer.norm_eps, w.q_norm)
    else:
        q, r = shortened(q * w.q_scale, layer.clip), shortened(r * w.r_scale, layer.profile_clip)
    if layer.stretch:
        grown = np.log(np.maximum((step.positions + 1) / layer.stretch_from, 1.0))
        factor = (1.0 + layer.stretch * grown)[:, None, None]
        q, r = q * factor, r * factor
    return q, einsum("bqhr,rn->bqhn", r, w.profiles)


@operation
def shortened(x: Array, bound: float) -> Array:
    """Each vector no longer than the bound, shorter ones as they are."""
    length = np.sqrt(np.sum(x * x, axis=-1, keepdims=True))
    return x * np.minimum(bound / (length + SMALL), 1.0)


def _behind(layer: Any, w: Weights, name: str, x: Array, state: State | None) -> Array:
    """Keys or values of the new tokens [b q g e], behind their convolution and norm."""
    y = einsum("bqd,dge->bqge", x, getattr(w, f"w{name}"))
    if layer.dynamic:
        own = einsum("bqd,dgk->bqgk", x, getattr(w, f"wc{name}"))
        fixed = np.transpose(getattr(w, f"taps_{name}"), (1, 2, 0))  # of each channel, the token itself first
        convolved = causal_dynamic_convolution(y, own[:, :, :, None] + fixed, state, f"conv_{name}")
    else:
        convolved = causal_convolution(y, getattr(w, f"conv_{name}"), None, state, f"conv_{name}")
    y = convolved + y
    if layer.norm == "rmsnorm":
        return rmsnorm(y, layer.norm_eps, w.k_norm) if name == "k" else y
    y = y * (1 / math.sqrt((2 if layer.dynamic else 1) * layer.d_conv + 1))
    return shortened(y, layer.clip) if name == "k" else rmsnorm(y, layer.norm_eps)


def _kept(layer: Any, k: Array, v: Array, state: State | None) -> tuple[Array, Array]:
    """Keys and values of all tokens in sight; what the next step needs is kept."""
    if state and "k" in state:
        k, v = np.concatenate([state["k"], k], axis=1), np.concatenate([state["v"], v], axis=1)
    if state is not None:
        first = max(0, k.shape[1] - layer.window + 1) if layer.window else 0
        state["k"], state["v"] = k[:, first:], v[:, first:]
    return k, v


def _biased(layer: Any, scores: Array, bias: Array, step: Step) -> Array:
    """Scores [b g r q k] with the bias [b q h distance] of each distance, and -inf where a query may not look."""
    queries, keys = step.positions, np.arange(step.cached + step.ids.shape[1])[-scores.shape[-1] :]
    distance = queries[:, None] - keys  # [q k]; positive: the key is older
    nearby = np.clip(distance, 0, layer.reach - 1)
    of_pairs = np.transpose(bias[:, np.arange(len(queries))[:, None], :, nearby], (2, 3, 0, 1))  # [b h q k]
    of_pairs = of_pairs.reshape(scores.shape[0], *scores.shape[1:3], *distance.shape)
    scores = scores + np.where(distance >= layer.reach, 0.0, of_pairs)
    hidden = distance < 0
    if layer.window:
        hidden = hidden | (distance >= layer.window)
    return np.where(hidden, -np.inf, scores) if hidden.any() else scores


def _sinks(layer: Any, w: Weights, x: Array) -> Array:
    """A score for each head and token [b g r q 1], which takes its share of the softmax."""
    found = np.transpose(einsum("bqd,dh->bqh", x, w.wsink), (0, 2, 1))
    return found.reshape(x.shape[0], layer.n_kv_heads, -1, x.shape[1], 1)
