"""Attention with block-diagonal projections (SqueezeBERT) [iandola2020]."""

from __future__ import annotations

import math
from typing import Any

from ....twins.heads import dot_products, mix
from ....twins.linear import project, projection
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, under


def weights(layer: Any) -> list[Weight]:
    """Return the four grouped projections."""
    d, groups = layer.d_model, (layer.q_groups, layer.k_groups, layer.v_groups, layer.o_groups)
    return [w for name, count in zip("qkvo", groups, strict=True) for w in under(name, projection(d, d, count))]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(q kᵀ / sqrt(d_head)) v`` without a mask, using grouped input and output projections."""
    step.must_be_whole(layer.kind())
    q, k, v = (project(w.part(name), x).reshape(*x.shape[:2], layer.n_heads, -1) for name in "qkv")
    mixed = mix(dot_products(q, k) / math.sqrt(q.shape[-1]), v)
    return project(w.part("o"), mixed.reshape(x.shape))
