"""Single-neuron experts retrieved by product keys (PEER) [he2024]."""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np
from numpy import einsum

from ....twins.functions import ACTIVATIONS, divide_by_sum, operation, softmax
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, constant, matrix


def weights(layer: Any) -> list[Weight]:
    """Return the router, and one input row and one output row per expert."""
    rows = ((layer.n_experts,), (layer.d_model,))
    tables = [Weight(name, rows, per_expert=True) for name in ("down", "up")]
    return [matrix("router", layer.d_model, 2 * isqrt(layer.n_experts)), *tables]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``Σ_j p_j act(x · down_j) up_j`` over the selected experts j."""
    chosen, p = route(layer, w, x, step)
    return _output_rows(ACTIVATIONS[layer.activation](_input_rows(x, w.down, chosen)) * p, w.up, chosen)


def route(layer: Any, w: Weights, x: Array, step: Step) -> tuple[Array, Array]:
    """Return each token's experts and weights [b q j]. Expert ``a · keys + b`` has the score ``r1_a + r2_b``."""
    keys = isqrt(layer.n_experts)
    r = einsum("bqd,dr->bqr", x, w.router)
    if layer.together:
        rows, columns = r.reshape(2, *x.shape[:2], keys)
    else:
        rows, columns = r[..., :keys], r[..., keys:]
    scores = (rows[..., :, None] + columns[..., None, :]).reshape(*x.shape[:2], keys * keys)
    chosen = np.argsort(-constant(scores), axis=-1, kind="stable")[..., : layer.top_k]
    p = softmax(scores[np.arange(x.shape[0])[:, None, None], np.arange(x.shape[1])[:, None], chosen])
    return np.asarray(chosen), divide_by_sum(p) if layer.renormalise else p


def is_stepwise(layer: Any) -> bool:
    """Return whether decoding matches a single pass. Flattening the router logits (``together``) prevents a match."""
    return not layer.together


@operation
def _input_rows(x: Array, rows: Array, chosen: Array) -> Array:
    """Return the dot products of each token with the selected input rows [b q j], without copying the rows."""
    return einsum("bqd,bqjd->bqj", x, rows[chosen])


@operation
def _output_rows(a: Array, rows: Array, chosen: Array) -> Array:
    """Return the sum of the selected output rows, weighted by ``a`` [b q j]."""
    return einsum("bqj,bqjd->bqd", a, rows[chosen])
