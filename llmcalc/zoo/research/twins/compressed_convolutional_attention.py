"""Compressed convolutional attention [figliolia2025], with convolutions over queries and keys."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....twins.convolution import valid_windows
from ....twins.functions import l2norm, operation, plus, softmax
from ....twins.heads import extend_cache, grouped_mix, grouped_scores, join, project
from ....twins.rope import rotate
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, kernel, matrix, vector

REORDERS_SUMS = True  # the second convolution reads windows of the first one

LEAST_SQUARE = float(np.finfo(float).eps) ** 2  # lower bound on the squared length of a query or key


def weights(layer: Any) -> list[Weight]:
    """Return the query, key and value projections, both convolutions, the temperatures, and the output projection."""
    d, e, heads, groups = layer.d_model, layer.d_head, (layer.n_heads, layer.d_head), (layer.n_kv_heads, layer.d_head)
    now, n_heads = layer.n_kv_heads * e // 2, layer.n_heads + layer.n_kv_heads
    late = layer.n_kv_heads * e - now
    found = [matrix("wq", d, heads), matrix("wk", d, groups), matrix("wv", d, now), matrix("wv_before", d, late)]
    found += [kernel("conv", n_heads * e, layer.d_conv), vector("conv_b", n_heads * e)]
    found += [Weight("mix", ((n_heads, e), (e,), (layer.d_conv_mix,))), vector("mix_b", n_heads * e)]
    found += [vector("temperature", layer.n_kv_heads, mean=1.0), matrix("wo", heads, d)]
    if layer.bias:
        found += [vector("bq", *heads), vector("bk", *groups), vector("bv", now), vector("bv_before", late)]
        found += [vector("bo", d)]
    return found


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Apply grouped-query attention to convolved and normalised queries and keys."""
    q, k = _queries_and_keys(layer, w, x, step, state)
    k, v = extend_cache(k, _values(layer, w, x, state), state, layer.window)
    scores = grouped_scores(q, k) / math.sqrt(layer.d_head)
    distance = step.positions[:, None] - np.arange(step.cached + x.shape[1])[-k.shape[1] :]
    hidden = distance < 0 if layer.window is None else (distance < 0) | (distance >= layer.window)
    return join(w, grouped_mix(softmax(np.where(hidden, -np.inf, scores)), v))


def _queries_and_keys(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> tuple[Array, Array]:
    """Convolve queries and keys, add query-key means, normalise the lengths, and apply rotary embeddings."""
    q, k = project(w, "q", x), project(w, "k", x)
    group = layer.n_heads // layer.n_kv_heads
    mean_q = (q + np.repeat(k, group, axis=2)) * 0.5
    mean_k = np.mean(mean_q.reshape(*x.shape[:2], layer.n_kv_heads, group, -1), axis=3)
    both = _convolve(layer, w, np.concatenate([q, k], axis=2), state)
    q, k = both[:, :, : layer.n_heads] + mean_q, both[:, :, layer.n_heads :] + mean_k
    length = math.sqrt(layer.d_head)
    q, k = l2norm(q, LEAST_SQUARE) * length, l2norm(k, LEAST_SQUARE) * length * w.temperature[:, None]
    q, k = (rotate(layer.rope, x, step.positions, layer.rope.dim) for x in (q, k))
    return q, k


def _convolve(layer: Any, w: Weights, u: Array, state: State | None) -> Array:
    """Apply both convolutions to ``u`` [b q heads e], and cache the last inputs."""
    b, q, heads, e = u.shape
    columns = layer.d_conv + layer.d_conv_mix - 2
    past = state["conv"] if state and "conv" in state else np.zeros((b, columns, heads * e))
    padded = np.concatenate([past, u.reshape(b, q, heads * e)], axis=1)
    if state is not None:
        state["conv"] = padded[:, q:]
    return _head_convolution(_depthwise(padded, w.conv) + w.conv_b, w.mix) + w.mix_b.reshape(heads, e)


@operation
def _depthwise(u: Array, taps: Array) -> Array:
    """Convolve ``u`` [b n x] with per-channel kernels [x k]."""
    return einsum("bqxk,xk->bqx", valid_windows(u, taps.shape[-1]), taps)


@operation
def _head_convolution(u: Array, taps: Array) -> Array:
    """Convolve ``u`` [b n x] with dense per-head kernels [heads out e k]."""
    heads, _, e, width = taps.shape
    windows = valid_windows(u, width)
    return einsum("bqhek,hoek->bqho", windows.reshape(*windows.shape[:2], heads, e, width), taps)


def _values(layer: Any, w: Weights, x: Array, state: State | None) -> Array:
    """Return the values [b q g e]. Half of the channels come from the previous token."""
    now, late = (plus(einsum("bqd,di->bqi", x, getattr(w, f"w{n}")), w.get(f"b{n}")) for n in ("v", "v_before"))
    before = state["before"] if state and "before" in state else plus(0.0 * late[:, 0], w.get("bv_before"))
    if state is not None:
        state["before"] = late[:, -1]
    late = np.concatenate([before[:, None], late[:, :-1]], axis=1)
    return np.concatenate([now, late], axis=-1).reshape(*x.shape[:2], layer.n_kv_heads, layer.d_head)
