"""Mamba's selective state-space layer S6 [gu2023, Section 3], a recurrence with input-dependent step sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from .convolution import causal_convolution
from .functions import ACTIVATIONS, operation, plus, rmsnorm, silu, softplus
from .step import State, Step, recalled
from .weights import Array, Weight, Weights, adapters, kernel, matrix, table, vector


def weights(layer: Any) -> list[Weight]:
    """Return the input, output, Δ, B and C projections, a short convolution, A, and D."""
    d, i, n, rank = layer.d_model, layer.d_inner, layer.d_state, layer.dt_rank
    found = [matrix("wx", d, i), matrix("wz", d, i), kernel("conv", i, layer.d_conv), matrix("wo", i, d)]
    if layer.n_heads is None:
        found += [matrix("w_dt", i, rank), matrix("w_B", i, n), matrix("w_C", i, n), matrix("dt_up", rank, i)]
        found += [vector("dt_b", i), table("A_log", i, n), vector("D", i)]
    else:
        heads, width = layer.n_heads, i // layer.n_heads
        found += [adapters(name, width, size, heads) for name, size in (("w_dt", rank), ("w_B", n), ("w_C", n))]
        found += [adapters("dt_up", rank, width, heads), table("dt_b", heads, width)]
        found += [table("A_log", heads, width, n), table("D", heads, width)]
    found += [vector("bx", i), vector("bz", i), vector("bo", d)] if layer.bias else []
    found += [vector("conv_b", i)] if layer.conv_bias else []
    if layer.bcdt_norm == "rmsnorm":
        found += [vector(f"{name}_norm", size, mean=1.0) for name, size in (("dt", rank), ("B", n), ("C", n))]
    return found


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d]`` from ``x[b q d]``: ``h = exp(ΔA) h + ΔB u; y = C h + D u``, then apply the gate ``silu(z)``
    and the output projection.
    """
    u, z = plus(einsum("bqd,di->bqi", x, w.wx), w.get("bx")), plus(einsum("bqd,di->bqi", x, w.wz), w.get("bz"))
    u = ACTIVATIONS[layer.activation](causal_convolution(u, w.conv, w.get("conv_b"), state, "conv"))
    whole = u.shape
    axes, up, mix = "bqi,ir->bqr", "bqr,ri->bqi", "bqin,bqn->bqi"
    if layer.n_heads is not None:  # heads with separate Δ, B and C [glorioso2024a]
        u = u.reshape(*whole[:2], layer.n_heads, -1)
        axes, up, mix = "bqhi,hir->bqhr", "bqhr,hri->bqhi", "bqhin,bqhn->bqhi"
    dt, B, C = (einsum(axes, u, weight) for weight in (w.w_dt, w.w_B, w.w_C))
    if layer.bcdt_norm != "none":  # Jamba, Falcon Mamba
        parts = (("dt", dt), ("B", B), ("C", C))
        dt, B, C = (rmsnorm(part, layer.norm_eps, w.get(f"{name}_norm")) for name, part in parts)
    delta = softplus(einsum(up, dt, w.dt_up) + w.dt_b)
    h = _scan(-np.exp(w.A_log), delta, B, u, recalled(state, "ssm", u.shape[0], *w.A_log.shape))
    if state is not None:
        state["ssm"] = h[:, -1]
    y = (einsum(mix, h, C) + w.D * u).reshape(whole)
    return plus(einsum("bqi,id->bqd", y * silu(z), w.wo), w.get("bo"))


@operation
def _scan(A: Array, delta: Array, B: Array, u: Array, h: Array) -> Array:
    """Return the states [b q i n] after each token, or [b q h i n] with heads, starting from state ``h``."""
    all_h = []
    for t in range(u.shape[1]):
        decay = np.exp(delta[:, t, ..., None] * A)
        h = decay * h + (delta[:, t] * u[:, t])[..., None] * B[:, t, ..., None, :]
        all_h.append(h)
    return np.stack(all_h, axis=1)
