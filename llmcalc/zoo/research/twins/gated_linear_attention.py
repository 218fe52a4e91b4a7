"""Linear attention with a decaying state: GLA [yang2023gla, Section 4] and retention [sun2023, Section 2]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....twins.functions import operation, rmsnorm, silu, softplus
from ....twins.heads import join, project
from ....twins.rope import rotate
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, vector

FASTEST = 5.0  # the decays of retention are 1 - 2^(-5 - head)


def weights(layer: Any) -> list[Weight]:
    """Return the projections, the low-rank decay, the norm per head, the gate and the output projection."""
    d, keys, values = layer.d_model, (layer.n_heads, layer.d_k), (layer.n_heads, layer.d_v)
    found = [matrix("wq", d, keys), matrix("wk", d, keys), matrix("wv", d, values)]
    if layer.decay_rank:
        found += [matrix("wa_in", d, layer.decay_rank), matrix("wa", layer.decay_rank, keys), vector("ba", *keys)]
    found += [matrix("wgate", d, values)] if layer.gated else []
    return [*found, vector("norm", layer.d_v, mean=1.0), matrix("wo", values, d)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``S = diag(α) S + k vᵀ; y = (norm(Sᵀ q) · silu(x wgate)) wo``."""
    q, k, v = project(w, "q", x) / math.sqrt(layer.d_k), project(w, "k", x), project(w, "v", x)
    if layer.rope:
        q, k = (rotate(layer.rope, part, step.positions, layer.rope.dim) for part in (q, k))
    before = state["S"] if state and "S" in state else np.zeros((x.shape[0], layer.n_heads, layer.d_k, layer.d_v))
    o, after = _recurrence(q, k, v, _decay(layer, w, x), before)
    if state is not None:
        state["S"] = after
    o = rmsnorm(o, layer.norm_eps, w.norm)
    return join(w, o * silu(einsum("bqd,dhv->bqhv", x, w.wgate)) if layer.gated else o)


def _decay(layer: Any, w: Weights, x: Array) -> Array:
    """Return the decay of each key channel [b q h e], or the fixed decay of each head [h 1]."""
    if not layer.decay_rank:
        return (1 - 2.0 ** (-FASTEST - np.arange(layer.n_heads)))[:, None]
    logits = einsum("bqr,rhe->bqhe", einsum("bqd,dr->bqr", x, w.wa_in), w.wa) + w.ba
    return np.exp(-softplus(-logits) * layer.decay_scale)


@operation
def _recurrence(q: Array, k: Array, v: Array, decay: Array, S: Array) -> tuple[Array, Array]:
    """Compute the outputs and the final state token by token."""
    decay = decay + np.zeros(k.shape)
    outputs = []
    for t in range(k.shape[1]):
        S = decay[:, t, :, :, None] * S + k[:, t, :, :, None] * v[:, t, :, None, :]
        outputs.append(np.sum(q[:, t, :, :, None] * S, axis=2))
    return np.stack(outputs, axis=1), S
