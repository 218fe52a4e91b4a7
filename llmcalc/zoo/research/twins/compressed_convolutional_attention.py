"""Attention in a compressed space, with convolutions over queries and keys [figliolia2025]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....twins.functions import l2norm, operation, plus, softmax
from ....twins.rope import rotate
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, kernel, matrix, vector

LEAST_SQUARE = float(np.finfo(float).eps) ** 2  # of a query's or key's length


def weights(layer: Any) -> list[Weight]:
    """Queries, keys, two halves of the values; a convolution of each channel, one within each head; temperatures."""
    d, e, heads, groups = layer.d_model, layer.d_head, (layer.n_heads, layer.d_head), (layer.n_kv_heads, layer.d_head)
    late, all_heads = groups[0] * e - groups[0] * e // 2, layer.n_heads + layer.n_kv_heads
    found = [matrix("wq", d, heads), matrix("wk", d, groups), matrix("wv", d, groups[0] * e // 2)]
    found += [
        matrix("wv_before", d, late),
        kernel("conv", all_heads * e, layer.d_conv),
        vector("conv_b", all_heads * e),
    ]
    found += [Weight("mix", ((all_heads, e), (e,), (layer.d_conv_mix,))), vector("mix_b", all_heads * e)]
    found += [vector("temperature", layer.n_kv_heads, mean=1.0), matrix("wo", heads, d)]
    if layer.bias:
        found += [vector("bq", *heads), vector("bk", *groups), vector("bv", groups[0] * e // 2)]
        found += [vector("bv_before", late), vector("bo", d)]
    return found


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Grouped attention on convolved queries and keys of a fixed length."""
    q, k = _queries_and_keys(layer, w, x, step, state)
    k, v = _cached(layer, k, _values(layer, w, x, state), state)
    b, new, h, e = q.shape
    g, length = layer.n_kv_heads, math.sqrt(layer.d_head)
    scores = einsum("bqgre,bkge->bgrqk", q.reshape(b, new, g, h // g, e), k) / length
    distance = step.positions[:, None] - np.arange(step.cached + new)[-k.shape[1] :]
    hidden = distance < 0 if layer.window is None else (distance < 0) | (distance >= layer.window)
    p = softmax(np.where(hidden, -np.inf, scores))
    mixed = einsum("bgrqk,bkgv->bqgrv", p, v).reshape(b, new, h, e)
    return plus(einsum("bqhv,hvd->bqd", mixed, w.wo), w.get("bo"))


def _queries_and_keys(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> tuple[Array, Array]:
    """Both convolved, plus the mean of a query and its key; then of length sqrt(d_head), and rotated."""
    q = plus(einsum("bqd,dhe->bqhe", x, w.wq), w.get("bq"))
    k = plus(einsum("bqd,dge->bqge", x, w.wk), w.get("bk"))
    served = layer.n_heads // layer.n_kv_heads
    mean_q = (q + np.repeat(k, served, axis=2)) * 0.5
    mean_k = np.mean(mean_q.reshape(*x.shape[:2], layer.n_kv_heads, served, -1), axis=3)
    both = _convolved(layer, w, np.concatenate([q, k], axis=2), state)
    q, k = both[:, :, : layer.n_heads] + mean_q, both[:, :, layer.n_heads :] + mean_k
    length = math.sqrt(layer.d_head)
    q, k = l2norm(q, LEAST_SQUARE) * length, l2norm(k, LEAST_SQUARE) * length * w.temperature[:, None]
    q, k = (rotate(layer, x, step.positions, layer.rotary_dim, interleaved=False) for x in (q, k))
    return q, k


def _convolved(layer: Any, w: Weights, u: Array, state: State | None) -> Array:
    """``u`` [b q heads e] through both convolutions; their last columns are kept."""
    b, q, heads, e = u.shape
    flat, columns = u.reshape(b, q, heads * e), layer.d_conv + layer.d_conv_mix - 2
    past = state["conv"] if state and "conv" in state else np.zeros((b, columns, heads * e))
    padded = np.concatenate([past, flat], axis=1)
    if state is not None:
        state["conv"] = padded[:, q:]
    each = _of_channels(padded, w.conv) + w.conv_b
    return _within_heads(each, w.mix) + w.mix_b.reshape(heads, e)


@operation
def _of_channels(u: Array, taps: Array) -> Array:
    """The taps [x k] of each channel on the columns of ``u`` [b n x]."""
    return einsum("bqxk,xk->bqx", _windows(u, taps.shape[-1]), taps)


@operation
def _within_heads(u: Array, taps: Array) -> Array:
    """The taps [heads out e k] of each head on the columns of ``u`` [b n x]."""
    heads, _, e, width = taps.shape
    windows = _windows(u, width)
    return einsum("bqhek,hoek->bqho", windows.reshape(*windows.shape[:2], heads, e, width), taps)


def _windows(u: Array, taps: int) -> Array:
    """Every column of ``u`` [b n x] with those before it [b n-taps+1 x taps]."""
    rows = u.shape[1] - taps + 1
    return np.stack([u[:, first : first + rows] for first in range(taps)], axis=-1)


def _values(layer: Any, w: Weights, x: Array, state: State | None) -> Array:
    """Values [b q g e], of which half the numbers are those of the token before."""
    now = plus(einsum("bqd,di->bqi", x, w.wv), w.get("bv"))
    late = plus(einsum("bqd,di->bqi", x, w.wv_before), w.get("bv_before"))
    before = state["before"] if state and "before" in state else plus(0.0 * late[:, 0], w.get("bv_before"))
    if state is not None:
        state["before"] = late[:, -1]
    late = np.concatenate([before[:, None], late[:, :-1]], axis=1)
    return np.concatenate([now, late], axis=-1).reshape(*x.shape[:2], layer.n_kv_heads, layer.d_head)


def _cached(layer: Any, k: Array, v: Array, state: State | None) -> tuple[Array, Array]:
    """The keys and values of all tokens in sight; what the next token sees of them is kept."""
    if state and "k" in state:
        k, v = np.concatenate([state["k"], k], axis=1), np.concatenate([state["v"], v], axis=1)
    if state is not None:
        first = max(0, k.shape[1] - layer.window + 1) if layer.window else 0
        state["k"], state["v"] = k[:, first:], v[:, first:]
    return k, v
