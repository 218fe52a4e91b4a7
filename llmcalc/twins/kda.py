"""Kimi Delta Attention [kimi2025linear, Section 3], a gated delta rule with one decay per key channel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from . import delta_rule
from .convolution import short_convolution
from .functions import l2norm, operation, rmsnorm, sigmoid, softplus
from .step import State, Step, store
from .weights import Array, Weight, Weights, kernel, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Return q, k and v projections, convolutions, and optionally low-rank decay and gate projections."""
    d, heads = layer.d_model, (layer.n_heads, layer.d_head)
    found = [matrix(f"w{name}", d, heads) for name in "qkv"] + [kernel(f"conv_{n}", heads, layer.d_conv) for n in "qkv"]
    for name, rank in (("a", layer.gate_rank), ("z", None if layer.full_gate else layer.gate_rank)):
        found += [*([matrix(f"w{name}_in", d, rank)] if rank else []), matrix(f"w{name}", rank or d, heads)]
    found += [vector("dt_b", *heads), vector("A_log", layer.n_heads), matrix("wb", d, layer.n_heads)]
    return [*found, vector("norm", layer.d_head, mean=1.0), matrix("wo", heads, d)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d]`` from ``x[b q d]``: ``S = (1 - β k kᵀ) diag(α) S + β k vᵀ; y = Sᵀ q``, then apply a norm, the
    gate ``sigmoid(z)`` and the output projection.
    """
    projected = ((name, einsum("bqd,dhe->bqhe", x, getattr(w, f"w{name}"))) for name in "qkv")
    q, k, v = (short_convolution(layer, w, name, u, state) for name, u in projected)
    beta = sigmoid(einsum("bqd,dh->bqh", x, w.wb))
    # two factors of the logarithm of α per key channel: one per token [b q h e], and a rate
    a, rate = _gate(w, "a", x) + w.dt_b, np.exp(w.A_log)[:, None]
    decay = (softplus(a), -rate) if layer.decay_bound is None else (sigmoid(rate * a), layer.decay_bound)
    rule = recurrence if step.decode else in_chunks
    o, after = rule(l2norm(q), l2norm(k), v, beta, *decay, delta_rule.start(k, v, state), layer.chunk)
    store(state, S=after)
    return einsum("bqhv,hvd->bqd", rmsnorm(o, layer.norm_eps, w.norm) * sigmoid(_gate(w, "z", x)), w.wo)


def _gate(w: Weights, name: str, x: Array) -> Array:
    narrow = w.get(f"w{name}_in")
    x = x if narrow is None else einsum("bqd,dr->bqr", x, narrow)
    return einsum("bqr,rhe->bqhe", x, getattr(w, f"w{name}"))


def recurrence(
    q: Array, k: Array, v: Array, beta: Array, a: Array, rate: Array, S: Array, chunk: int
) -> tuple[Array, Array]:
    """Compute the outputs and final state token by token from ``q``, ``k``, ``a`` [b q h k] and ``v`` [b q h v]."""
    return delta_rule.recurrence(q / math.sqrt(q.shape[-1]), k, v, beta, rate * a, S)


@operation
def in_chunks(
    q: Array, k: Array, v: Array, beta: Array, a: Array, rate: Array, S: Array, chunk: int
) -> tuple[Array, Array]:
    """Compute the outputs and the final state chunk by chunk, folding the decay into the queries and keys."""
    return delta_rule.in_chunks(_chunk, chunk, q / math.sqrt(q.shape[-1]), k, v, beta, rate * a, S)


def _chunk(q: Array, k: Array, v: Array, beta: Array, decay: Array, S: Array) -> tuple[Array, Array]:
    """Compute the outputs and final state of one chunk."""
    total = np.cumsum(decay, axis=1)
    since, back = np.exp(total), np.exp(-total)
    seen = np.tri(total.shape[1])
    kb = k * beta * since
    T = delta_rule.inverse(einsum("bqhe,bkhe->bhqk", kb, k * back))
    new = einsum("bhqk,bkhv->bqhv", T, v * beta)
    new = new - einsum("bqhe,bhev->bqhv", einsum("bhqk,bkhe->bqhe", T, kb), S)
    within = einsum("bqhe,bkhe->bhqk", q * since, k * back) * seen
    o = einsum("bqhe,bhev->bqhv", q * since, S) + einsum("bhqk,bkhv->bqhv", within, new)
    until = np.exp(total[:, -1:] - total)
    return o, S * np.exp(total[:, -1])[..., None] + einsum("bkhe,bkhv->bhev", k * until, new)
