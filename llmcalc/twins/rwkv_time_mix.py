"""RWKV-4's time mixing [peng2023, Section 3.1]: averages over the past, weighted by keys and a decay per channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from .functions import sigmoid
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Receptance, key, value and output; how much of the token before each takes; decay, and a bonus for the newest."""
    d, i = layer.d_model, layer.d_inner
    found = [vector(f"mix_{name}", d) for name in "kvr"] + [vector("decay", i), vector("first", i)]
    return found + [matrix(f"w{name}", d, i) for name in "kvr"] + [matrix("wo", i, d)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``(sigmoid(r) · wkv(k, v)) wo``."""
    before = shifted(x, state)
    k, v, r = (einsum("bqd,di->bqi", mixed(x, before, getattr(w, f"mix_{n}")), getattr(w, f"w{n}")) for n in "kvr")
    return einsum("bqi,id->bqd", sigmoid(r) * _wkv(w, k, v, state), w.wo)


def shifted(x: Array, state: State | None) -> Array:
    """The token before each; the last one is kept."""
    last: Array = state["shift"] if state and "shift" in state else np.zeros((x.shape[0], x.shape[2]))
    if state is not None:
        state["shift"] = x[:, -1]
    return np.concatenate([last[:, None], x[:, :-1]], axis=1)


def mixed(x: Array, before: Array, share: Array) -> Array:
    """``share`` of this token, the rest of the one before."""
    return x * share + before * (1.0 - share)


def _wkv(w: Weights, k: Array, v: Array, state: State | None) -> Array:
    """A running average of v weighted by exp(k); its maximum exponent is taken out, so that nothing overflows."""
    zero = np.zeros((k.shape[0], k.shape[2]))
    top, below, peak = zero, zero, zero - 1e38
    if state and "numerator" in state:
        top, below, peak = state["numerator"], state["denominator"], state["maximum"]
    decay = -np.exp(w.decay)
    outputs = []
    for t in range(k.shape[1]):
        now = k[:, t] + w.first
        most = np.maximum(peak, now)
        old, new = np.exp(peak - most), np.exp(now - most)
        outputs.append((old * top + new * v[:, t]) / (old * below + new))
        most = np.maximum(peak + decay, k[:, t])
        old, new = np.exp(peak + decay - most), np.exp(k[:, t] - most)
        top, below, peak = old * top + new * v[:, t], old * below + new, most
    if state is not None:
        state["numerator"], state["denominator"], state["maximum"] = top, below, peak
    return np.stack(outputs, axis=1)
