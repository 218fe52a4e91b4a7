"""Dynamic mask attention (Doge) with a score bias computed from the values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ....twins import attention
from ....twins.functions import plus, softplus
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, constant, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Return the attention weights, the bias projection, and the bias factor."""
    g, v = layer.n_kv_heads, layer.d_head_v
    found = [*attention.weights(layer), matrix("wdt", (g, v), g), vector("A", g)]
    return found + ([vector("bdt", g)] if layer.v_bias else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(q kᵀ · scale + exp(A softplus(v wdt))) v · wo``."""

    def add_bias(scores: Array, v: Array, q: Array) -> Array:
        bias = np.exp(w.A * softplus(plus(einsum("bkgv,gvm->bkm", v, w.wdt), w.get("bdt"))))
        bias = np.transpose(bias, (0, 2, 1))[:, :, None, None]  # [b g 1 1 k]
        scores = scores + bias
        if not layer.keep_window or layer.keep_window >= v.shape[1]:
            return scores
        hidden = all_but_largest(layer.keep_window, constant(bias)[:, :, 0], np.isfinite(constant(scores)[:, :, 0]))
        return np.where(hidden[:, :, None], -np.inf, scores)

    return attention.forward(layer, w, x, step, state, add_bias)


def all_but_largest(count: int, bias: Array, seen: Array) -> Array:
    """Return a mask of all but the ``count`` keys in ``seen`` [b g q k] with the largest ``bias`` [b g 1 k]."""
    ranked = np.argsort(np.where(seen, -bias, np.inf), axis=-1, kind="stable")
    hidden = np.ones(ranked.shape, bool)
    np.put_along_axis(hidden, ranked[..., :count], False, axis=-1)
    return hidden
