"""Differential attention [ye2024, Section 2.1]: one head's softmax less a learned share of another's.

Head i is paired with head i + h/2, and both look at the values of the two [b k 2 g v].
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
MOST, SPAN, RATE = 0.8, 0.6, 0.3  # of the share that a layer starts from: 0.8 - 0.6 exp(-0.3 depth)


def weights(layer: Any) -> list[Weight]:
    """Those of attention, and four vectors that make a layer's share."""
    return [*attention.weights(layer), *(vector(name, layer.d_head) for name in LAMBDAS)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``(1 - λ₀) norm((softmax(q1 k1ᵀ) - λ softmax(q2 k2ᵀ)) (v1, v2)) wo``, with λ₀ by the layer's depth."""
    x = attention.prepare_input(layer, x, step)
    scores, v, _ = attention.attention_scores(layer, w, x, step, state)
    p = attention.attention_weights(layer, w, scores)
    b, g, served, new, keys = p.shape
    p = p.reshape(b, 2, g // 2, served, new, keys)
    met = einsum("bzgrqk,bkpgv->bqzgrpv", p, v.reshape(b, keys, 2, g // 2, v.shape[3]))
    start = MOST - SPAN * math.exp(-RATE * step.depth[0])
    pairs = met[:, :, 0] - share(w, start) * met[:, :, 1]  # [b q g r 2 v]
    pairs = rmsnorm(pairs.reshape(b, new, layer.n_heads // 2, -1), layer.pair_norm_eps) * (1.0 - start)
    return attention.project_output(layer, w, x, pairs.reshape(b, new, layer.n_heads, -1))


def share(w: Weights, start: float) -> Array:
    """``λ = exp(q1·k1) - exp(q2·k2) + λ₀``."""
    return np.exp(np.sum(w.lambda_q1 * w.lambda_k1)) - np.exp(np.sum(w.lambda_q2 * w.lambda_k2)) + start
