"""Gated DeltaNet [yang2024, Section 3], linear attention with decay and the delta rule."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from . import delta_rule
from .convolution import short_convolution
from .functions import l2norm, operation, rmsnorm, sigmoid, silu, softplus
from .step import State, Step, store
from .weights import Array, Weight, Weights, kernel, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Return the projections q, k, v, z (gate), b (write strength) and a (decay), the convolutions, and a gated
    norm.
    """
    d, keys, values = layer.d_model, (layer.n_k_heads, layer.d_k), (layer.n_v_heads, layer.d_v)
    sizes = {"q": keys, "k": keys, "v": values}
    sizes_with_gate = sizes | ({"z": values} if layer.gated else {})
    found = [matrix(f"w{name}", d, size) for name, size in sizes_with_gate.items()]
    found += [matrix(name, d, layer.n_v_heads) for name in ("wb", *["wa"] * layer.decays)]
    found += [kernel(f"conv_{name}", size, layer.d_conv) for name, size in sizes.items()]
    found += [vector(name, layer.n_v_heads) for name in ("dt_b", "A_log") if layer.decays]
    found += [vector("norm", layer.d_v, mean=1.0), matrix("wo", values, d)]
    return found + ([vector(f"conv_{name}_b", *size) for name, size in sizes.items()] if layer.conv_bias else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d]`` from ``x[b q d]``: ``S = α S; S = S + k (β (v - Sᵀ k))ᵀ; y = Sᵀ q`` per value head, then
    apply a norm, the gate and the output projection.
    """
    projected = ((name, einsum("bqd,dhe->bqhe", x, getattr(w, f"w{name}"))) for name in "qkv")
    q, k, v = (short_convolution(layer, w, name, u, state) for name, u in projected)
    beta = sigmoid(einsum("bqd,dh->bqh", x, w.wb))
    beta = 2.0 * beta if layer.negative_eigenvalues else beta
    a, rate = np.zeros(v.shape[:3]), np.zeros(v.shape[2])
    if layer.decays:
        a, rate = softplus(einsum("bqd,dh->bqh", x, w.wa) + w.dt_b), -np.exp(w.A_log)
    rule = recurrence if step.decode else in_chunks
    o, after = rule(l2norm(q), l2norm(k), v, beta, a, rate, delta_rule.start(k, v, state), layer.chunk)
    store(state, S=after)
    o = rmsnorm(o, layer.norm_eps, w.norm)
    o = o * silu(einsum("bqd,dhv->bqhv", x, w.wz)) if layer.gated else o
    return einsum("bqhv,hvd->bqd", o, w.wo)


def recurrence(
    q: Array, k: Array, v: Array, beta: Array, a: Array, rate: Array, S: Array, chunk: int
) -> tuple[Array, Array]:
    """Compute the outputs and the final state token by token from ``q``, ``k`` [b q h k] and ``v`` [b q h v]."""
    q, k, decay = _prepare(q, k, v, a, rate)
    return delta_rule.recurrence(q, k, v, beta, decay, S)


@operation
def in_chunks(
    q: Array, k: Array, v: Array, beta: Array, a: Array, rate: Array, S: Array, chunk: int
) -> tuple[Array, Array]:
    """Compute the outputs and the final state chunk by chunk, with one solve per chunk [yang2024, Section 3.3]."""
    q, k, decay = _prepare(q, k, v, a, rate)
    return delta_rule.in_chunks(_chunk, chunk, q, k, v, beta, decay, S)


def _prepare(q: Array, k: Array, v: Array, a: Array, rate: Array) -> tuple[Array, Array, Array]:
    """Return each value head's scaled queries and keys [b q h k], and the logarithm of the decay α."""
    served = v.shape[2] // k.shape[2]
    return np.repeat(q / math.sqrt(q.shape[-1]), served, axis=2), np.repeat(k, served, axis=2), (rate * a)[..., None]


def _chunk(q: Array, k: Array, v: Array, beta: Array, decay: Array, S: Array) -> tuple[Array, Array]:
    """Compute the outputs and final state of one chunk."""
    total = np.cumsum(decay[..., 0], axis=1)  # [b z h]
    by_head = np.transpose(total, (0, 2, 1))
    seen = np.tri(total.shape[1], dtype=bool)
    between = np.exp(np.where(seen, by_head[..., :, None] - by_head[..., None, :], -np.inf))  # [b h q k]
    kb = k * beta
    T = delta_rule.inverse(einsum("bqhe,bkhe->bhqk", kb, k) * between)
    since = np.exp(total)[..., None]
    writes = einsum("bhqk,bkhv->bqhv", T, v * beta)
    new = writes - einsum("bqhe,bhev->bqhv", einsum("bhqk,bkhe->bqhe", T, kb * since), S)
    within = einsum("bqhe,bkhe->bhqk", q, k) * between
    o = einsum("bqhe,bhev->bqhv", q * since, S) + einsum("bhqk,bkhv->bqhv", within, new)
    until = np.exp(total[:, -1:] - total)[..., None]
    return o, S * np.exp(total[:, -1])[..., None, None] + einsum("bkhe,bkhv->bhev", k * until, new)
