"""Attention with a mask that is computed from the values of all tokens so far (Doge)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ....twins import attention
from ....twins.functions import plus, softplus
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, constant, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Those of attention; what a key's number is made of, for each head of keys."""
    g, v = layer.n_kv_heads, layer.d_head_v
    found = [*attention.weights(layer), matrix("wdt", (g, v), g), vector("A", g)]
    return found + ([vector("bdt", g)] if layer.v_bias else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``softmax(q kᵀ · scale + exp(A softplus(v wdt))) v · wo``."""
    x = attention.prepare_input(layer, x, step)
    scores, v, q = attention.attention_scores(layer, w, x, step, state)
    number = np.exp(w.A * softplus(plus(einsum("bkgv,gvm->bkm", v, w.wdt), w.get("bdt"))))
    number = np.transpose(number, (0, 2, 1))[:, :, None, None]  # [b g 1 1 k]
    scores = scores + number
    if layer.keep_window and layer.keep_window < v.shape[1]:
        hidden = beyond(layer.keep_window, constant(number)[:, :, 0], np.isfinite(constant(scores)[:, :, 0]))
        scores = np.where(hidden[:, :, None], -np.inf, scores)
    mixed = attention.mix(layer, w, scores, v, q, step)
    return attention.project_output(layer, w, x, mixed.reshape(*x.shape[:2], layer.n_heads, v.shape[3]))


def beyond(most: int, number: Array, seen: Array) -> Array:
    """Of the keys in sight ``seen`` [b g q k] all but those with the largest numbers [b g 1 k]."""
    ranked = np.argsort(np.where(seen, -number, np.inf), axis=-1, kind="stable")
    hidden = np.ones(ranked.shape, bool)
    np.put_along_axis(hidden, ranked[..., :most], False, axis=-1)
    return hidden
