"""Attention whose projections are block-diagonal: SqueezeBERT's [iandola2020]."""

from __future__ import annotations

import math
from typing import Any

from numpy import einsum

from ....twins.functions import softmax
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, under
from .grouped_linear import projected, projection


def weights(layer: Any) -> list[Weight]:
    """Four projections, each in groups of channels."""
    d, groups = layer.d_model, (layer.q_groups, layer.k_groups, layer.v_groups, layer.o_groups)
    return [w for name, count in zip("qkvo", groups, strict=True) for w in under(name, projection(d, d, count))]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``softmax(q kᵀ / sqrt(d_head)) v`` over heads; every token sees all others."""
    step.must_be_whole(layer.kind())
    q, k, v = (projected(w.part(name), x).reshape(*x.shape[:2], layer.n_heads, -1) for name in "qkv")
    p = softmax(einsum("bqhe,bkhe->bhqk", q, k) / math.sqrt(q.shape[-1]))
    return projected(w.part("o"), einsum("bhqk,bkhe->bqhe", p, v).reshape(x.shape))
