"""Differential attention [ye2024, Section 2.1]. Each pair of heads computes a softmax minus a scaled softmax.

Heads i and i + h/2 form a pair. Both heads use the pair's values [b k 2 g v].
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....twins import attention
from ....twins.functions import rmsnorm
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, vector

LAMBDAS = ("lambda_q1", "lambda_k1", "lambda_q2", "lambda_k2")
MOST, SPAN, RATE = 0.8, 0.6, 0.3  # λ₀ = 0.8 - 0.6 exp(-0.3 depth)


def weights(layer: Any) -> list[Weight]:
    """Return the attention weights and the four vectors that determine λ."""
    return [*attention.weights(layer), *(vector(name, layer.d_head) for name in LAMBDAS)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``(1 - λ₀) norm((softmax(q1 k1ᵀ) - λ softmax(q2 k2ᵀ)) (v1, v2)) wo``, where λ₀ depends on the depth."""
    x = attention.prepare_input(layer, x, step)
    scores, v, _ = attention.attention_scores(layer, w, x, step, state)
    p = attention.attention_weights(layer, w, scores)
    b, g, group, new, keys = p.shape
    p = p.reshape(b, 2, g // 2, group, new, keys)
    mixed = einsum("bzgrqk,bkpgv->bqzgrpv", p, v.reshape(b, keys, 2, g // 2, v.shape[3]))
    start = MOST - SPAN * math.exp(-RATE * step.depth[0])
    share = np.exp(np.sum(w.lambda_q1 * w.lambda_k1)) - np.exp(np.sum(w.lambda_q2 * w.lambda_k2)) + start
    pairs = mixed[:, :, 0] - share * mixed[:, :, 1]  # [b q g r 2 v]
    pairs = rmsnorm(pairs.reshape(b, new, layer.n_heads // 2, -1), layer.pair_norm_eps) * (1.0 - start)
    return attention.project_output(layer, w, x, pairs.reshape(b, new, layer.n_heads, -1))
