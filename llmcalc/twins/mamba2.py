"""Mamba-2's state-space duality (SSD) layer [dao2024], with a scalar decay per head and chunked matrix products."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy import einsum

from .convolution import short_convolution
from .functions import operation, plus, rmsnorm, silu, softplus, times
from .step import State, Step, recalled, store
from .weights import Array, Weight, Weights, kernel, matrix, vector

NO_MULTIPLIERS = SimpleNamespace(**dict.fromkeys(("input", "output", "z", "x", "B", "C", "dt"), 1.0))


def weights(layer: Any) -> list[Weight]:
    """Return z, x, B, C and Δ projections, convolutions over x, B and C, A and D per head, and a gated norm."""
    d, K = layer.d_model, layer.d_conv
    heads, groups = (layer.n_ssm_heads, layer.d_ssm_head), (layer.n_groups, layer.d_state)
    found = [matrix("wz", d, heads), matrix("wx", d, heads), matrix("w_B", d, groups), matrix("w_C", d, groups)]
    found += [matrix("w_dt", d, layer.n_ssm_heads), kernel("conv_x", heads, K)]
    found += [kernel("conv_B", groups, K), kernel("conv_C", groups, K)]
    found += [vector(name, layer.n_ssm_heads) for name in ("dt_b", "A_log", "D")] + [matrix("wo", heads, d)]
    if layer.bias:
        found += [vector("bz", *heads), vector("bx", *heads), vector("b_B", *groups), vector("b_C", *groups)]
        found += [vector("b_dt", layer.n_ssm_heads)]
    found += [vector("bo", d)] if (layer.bias if layer.out_bias is None else layer.out_bias) else []
    if layer.conv_bias:
        found += [vector("conv_x_b", *heads), vector("conv_B_b", *groups), vector("conv_C_b", *groups)]
    return found + ([vector("norm", *heads, mean=1.0)] if layer.norm else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d]`` from ``x[b q d]``: ``h = exp(ΔA) h + ΔB u; y = C h + D u`` per head, then apply the gate
    ``silu(z)``, a norm and the output projection.
    """
    factor = layer.multipliers or NO_MULTIPLIERS
    x = times(x, factor.input)
    z = times(plus(einsum("bqd,dhp->bqhp", x, w.wz), w.get("bz")), factor.z)
    u = times(plus(einsum("bqd,dhp->bqhp", x, w.wx), w.get("bx")), factor.x)
    B = times(plus(einsum("bqd,dgn->bqgn", x, w.w_B), w.get("b_B")), factor.B)
    C = times(plus(einsum("bqd,dgn->bqgn", x, w.w_C), w.get("b_C")), factor.C)
    u, B, C = (short_convolution(layer, w, name, part, state) for name, part in (("x", u), ("B", B), ("C", C)))
    dt = times(plus(einsum("bqd,dh->bqh", x, w.w_dt), w.get("b_dt")), factor.dt)
    dt = softplus(dt + w.dt_b)
    if layer.time_step:
        dt = np.clip(dt, layer.time_step.least, layer.time_step.most)
    before = recalled(state, "ssm", *u.shape[:1], *u.shape[2:], layer.d_state)
    scan = recurrence if step.decode else in_chunks
    y, after = scan(u, dt, -np.exp(w.A_log), B, C, before, layer.chunk)
    store(state, ssm=after)
    y, gate = y + w.D[:, None] * u, silu(z)
    y = y * gate if layer.gate_first else y
    if layer.norm:  # over each group of heads
        grouped = y.reshape(*y.shape[:2], layer.n_groups, -1)
        y = rmsnorm(grouped, layer.norm_eps, w.norm.reshape(layer.n_groups, -1)).reshape(y.shape)
    y = y if layer.gate_first else y * gate
    return times(plus(einsum("bqhp,hpd->bqd", y, w.wo), w.get("bo")), factor.output)


def recurrence(u: Array, dt: Array, A: Array, B: Array, C: Array, h: Array, chunk: int) -> tuple[Array, Array]:
    """Compute the outputs and the final state token by token from ``u`` [b q h p], starting from ``h`` [b h p n]."""
    ud, a, heads_of_group = u * dt[..., None], A * dt, u.shape[2] // B.shape[2]
    B = np.repeat(B, heads_of_group, axis=2)
    all_h = []
    for t in range(ud.shape[1]):
        h = np.exp(a[:, t])[..., None, None] * h + ud[:, t, :, :, None] * B[:, t, :, None, :]
        all_h.append(h)
    b, q, groups = C.shape[:3]
    grouped = np.stack(all_h, axis=1).reshape(b, q, groups, -1, *h.shape[2:])  # [b q g r p n]
    return einsum("bqgrpn,bqgn->bqgrp", grouped, C).reshape(u.shape), h


@operation
def in_chunks(u: Array, dt: Array, A: Array, B: Array, C: Array, h: Array, chunk: int) -> tuple[Array, Array]:
    """Compute the outputs and the final state in chunks with attention-like matrix products [dao2024, Section 6].

    The product C·Bᵀ is computed once for the heads of a group, as in Mamba's kernels.
    """
    ud, a, heads_of_group = u * dt[..., None], A * dt, u.shape[2] // B.shape[2]
    B_of_heads, C_of_heads = np.repeat(B, heads_of_group, axis=2), np.repeat(C, heads_of_group, axis=2)
    h = h + 0.0 * ud[:, 0, :, :, None] * B_of_heads[:, 0, :, None, :]  # gives it a gradient, as after a context
    outputs = []
    for first in range(0, ud.shape[1], chunk):
        here = slice(first, first + chunk)
        u, b, c = ud[:, here], B_of_heads[:, here], C_of_heads[:, here]
        scores = np.repeat(einsum("bqgn,bkgn->bgqk", C[:, here], B[:, here]), heads_of_group, axis=1)
        # log of the decay since the start of the chunk [b h z]
        total = np.transpose(np.cumsum(a[:, here], axis=1), (0, 2, 1))
        between = total[..., :, None] - total[..., None, :]
        seen = np.tri(total.shape[-1], dtype=bool)
        decay = np.exp(np.where(seen, between, -np.inf))  # [b h q k]
        within = einsum("bhqk,bkhp->bqhp", scores * decay, u)
        since, until = np.exp(total), np.exp(total[..., -1:] - total)
        before = einsum("bqhn,bhpn->bqhp", c * np.transpose(since, (0, 2, 1))[..., None], h)
        outputs.append(within + before)
        added = einsum("bkhn,bkhp->bhpn", b * np.transpose(until, (0, 2, 1))[..., None], u)
        h = since[..., -1][..., None, None] * h + added
    return np.concatenate(outputs, axis=1), h
