"""Attention with additional scores for the relative positions of token boxes [hong2021, Section 3.1]."""

from __future__ import annotations

import math
from typing import Any

from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins import attention
from ....twins.attention import weights
from ....twins.step import State, Step
from ....twins.weights import Array, Weights

__all__ = ["forward", "weights"]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax((q kᵀ + q rᵀ) · scale) v · wo``."""
    step.must_be_whole(layer.kind())
    pairs = step.saved_streams.get("pairs")
    if pairs is None or pairs.shape[-1] != layer.d_head or layer.logit_softcap:
        raise UnsupportedError(f"missing box pairs of width {layer.d_head}", where=layer.kind())
    scale = 1 / math.sqrt(layer.d_head) if layer.scale is None else layer.scale

    def add_pairs(scores: Array, v: Array, q: Array) -> Array:
        return scores + einsum("bqgre,bqke->bgrqk", q, pairs) * scale

    return attention.forward(layer, w, x, step, state, add_pairs)
