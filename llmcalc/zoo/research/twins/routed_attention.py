"""Mixture of attention heads (JetMoE) [shen2024] with query and output projections per expert."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....twins.functions import operation, plus, softmax
from ....twins.heads import extend_cache, project
from ....twins.rope import rotate
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Return the router, the shared key and value projections, and one query and output projection per expert."""
    d, heads = layer.d_model, (layer.n_kv_heads, layer.d_head)
    found = [matrix("router", d, layer.n_experts), matrix("wk", d, heads), matrix("wv", d, heads)]
    found += [matrix("wq", d, heads, experts=layer.n_experts), matrix("wo", heads, d, experts=layer.n_experts)]
    return found + ([vector("bo", d)] if layer.out_bias else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``Σ p_i softmax(x wq_i kᵀ) v wo_i`` over the selected experts."""
    chosen, share = route(layer, w, x, step)
    copies = np.repeat(x[:, :, None], layer.top_k, axis=2)  # [b q j d]
    q = _by_expert("bqjd,bqjdge->bqjge", copies, w.wq, chosen)
    q = np.stack([rotate(layer.rope, q[:, :, j], step.positions, layer.d_head) for j in range(layer.top_k)], axis=2)
    k = rotate(layer.rope, project(w, "k", x), step.positions, layer.d_head)
    k, v = extend_cache(k, project(w, "v", x), state)
    scores = einsum("bqjge,bkge->bjgqk", q, k) / math.sqrt(layer.d_head)
    later = step.positions[:, None] < np.arange(k.shape[1])
    mixed = einsum("bjgqk,bkge->bqjge", softmax(np.where(later, -np.inf, scores)), v)
    y = _by_expert("bqjge,bqjged->bqjd", mixed, w.wo, chosen) * share[..., None]
    return plus(np.sum(y, axis=2), w.get("bo"))


@operation
def _by_expert(axes: str, x: Array, w: Array, chosen: Array) -> Array:
    """Multiply each token's ``x`` by the matrices of its selected experts."""
    return einsum(axes, x, w[chosen])


def route(layer: Any, w: Weights, x: Array, step: Step | None = None) -> tuple[Array, Array]:
    """Return each token's selected experts and the softmax of the expert logits [b q j]."""
    logits = einsum("bqd,dx->bqx", x, w.router)
    chosen = np.argsort(-np.asarray(logits), axis=-1, kind="stable")[..., : layer.top_k]
    b, q = chosen.shape[:2]
    return chosen, softmax(logits[np.arange(b)[:, None, None], np.arange(q)[:, None], chosen])
