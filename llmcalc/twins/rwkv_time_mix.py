"""RWKV-4 time mixing [peng2023, Section 3.1], which averages past values with key- and decay-dependent weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from .functions import operation, shift, sigmoid
from .step import State, Step, recalled, store
from .weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Return receptance, key, value and output projections, mixing vectors, decay, and current-token bonus."""
    d, i = layer.d_model, layer.d_inner
    found = [vector(f"mix_{name}", d) for name in "kvr"] + [vector("decay", i), vector("first", i)]
    return found + [matrix(f"w{name}", d, i) for name in "kvr"] + [matrix("wo", i, d)]


RUNNING = ("numerator", "denominator", "maximum")  # state of the running average


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d] = (sigmoid(r) · wkv(k, v)) wo``, where r, k and v are projections of ``x[b q d]``."""
    before = previous_tokens(x, state)
    mixes = {name: toward(x, before, 1.0 - getattr(w, f"mix_{name}")) for name in "kvr"}
    k, v, r = (einsum("bqd,di->bqi", mixes[name], getattr(w, f"w{name}")) for name in "kvr")
    before = [np.zeros((k.shape[0], k.shape[2]))] * 2 + [np.full((k.shape[0], k.shape[2]), -1e38)]
    if state and "numerator" in state:
        before = [state[name] for name in RUNNING]
    o, *after = _wkv(k, v, w.decay, w.first, *before)
    store(state, **dict(zip(RUNNING, after, strict=True)))
    return einsum("bqi,id->bqd", sigmoid(r) * o, w.wo)


def previous_tokens(x: Array, state: State | None) -> Array:
    """Return the token before each token of ``x`` [b q d], and store the last token of ``x`` in the state."""
    last = recalled(state, "shift", x.shape[0], x.shape[2])
    if state is not None:
        state["shift"] = x[:, -1]
    return shift(x, last)


@operation
def toward(x: Array, before: Array, share: Array) -> Array:
    """Interpolate each token of ``x`` [b q d] toward the previous token ``before`` by ``share``."""
    return x + (before - x) * share


@operation
def _wkv(
    k: Array, v: Array, decay: Array, first: Array, top: Array, below: Array, peak: Array
) -> tuple[Array, Array, Array, Array]:
    """Compute running averages of ``v`` weighted by ``exp(k)``, factoring out the maximum exponent for stability."""
    decay = -np.exp(decay)
    outputs = []
    for t in range(k.shape[1]):
        now = k[:, t] + first
        most = np.maximum(peak, now)
        old, new = np.exp(peak - most), np.exp(now - most)
        outputs.append((old * top + new * v[:, t]) / (old * below + new))
        most = np.maximum(peak + decay, k[:, t])
        old, new = np.exp(peak + decay - most), np.exp(k[:, t] - most)
        top, below, peak = old * top + new * v[:, t], old * below + new, most
    return np.stack(outputs, axis=1), top, below, peak
