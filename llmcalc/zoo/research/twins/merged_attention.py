"""Merged attention [zhang2025b, Section 2] with one softmax over decoder and encoder tokens."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins import attention, qk_norm
from ....twins.attention import weights
from ....twins.functions import softcap
from ....twins.heads import grouped_mix
from ....twins.step import State, Step
from ....twins.weights import Array, Weights

REORDERS_SUMS = True  # one sum over the keys of both inputs replaces two sums

__all__ = ["forward", "weights"]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(q (k, c)ᵀ) (v, w) wo`` for new tokens ``x`` [b q d]. The encoder keys c have no positions."""
    x = attention.prepare_input(layer, x, step)
    scores, v, q = attention.attention_scores(layer, w, x, step, state)  # [b g r q k], [b k g v], [b q g r e]
    other_k, other_v = _encoder_keys_and_values(layer, w, step, state)
    scale = 1 / math.sqrt(layer.d_head) if layer.scale is None else layer.scale
    other = einsum("bqgre,bsge->bgrqs", q, other_k) * scale
    other = softcap(other, layer.logit_softcap) if layer.logit_softcap else other
    p = attention.attention_weights(layer, w, np.concatenate([scores, other], axis=-1))
    return attention.project_output(layer, w, x, grouped_mix(p, np.concatenate([v, other_v], axis=1)))


def _encoder_keys_and_values(layer: Any, w: Weights, step: Step, state: State | None) -> tuple[Array, Array]:
    """Return the encoder keys and values [b s g e], computed on first use and then cached."""
    if state and "ck" in state:
        return state["ck"], state["cv"]
    if step.source is None:
        raise UnsupportedError("missing encoder output", where="merged_attention")
    k = qk_norm.normalise(layer.qk_norm, w, "k", attention.project(layer, w, "k", step.source, step))
    v = attention.project(layer, w, "v", step.source, step)
    v = v * layer.multipliers.value if layer.multipliers else v
    if state is not None:
        state["ck"], state["cv"] = k, v
    return k, v
