"""Experts of one neuron each [he2024]: a token finds its few among very many by sums of two sets of scores."""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np
from numpy import einsum

from ....twins.functions import ACTIVATIONS, divide_by_sum, operation, softmax
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, constant, matrix


def weights(layer: Any) -> list[Weight]:
    """Two sets of keys; of each expert a row that reads and one that writes."""
    rows = ((layer.n_experts,), (layer.d_model,))
    tables = [Weight(name, rows, per_expert=True) for name in ("down", "up")]
    return [matrix("router", layer.d_model, 2 * isqrt(layer.n_experts)), *tables]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``Σ_j p_j act(x · down_j) up_j`` over the chosen experts j."""
    chosen, p = route(layer, w, x, step)
    return _written(ACTIVATIONS[layer.activation](_read(x, w.down, chosen)) * p, w.up, chosen)


def route(layer: Any, w: Weights, x: Array, step: Step) -> tuple[Array, Array]:
    """The chosen experts of each token, and their weights [b q j]; expert ``a · keys + b`` scores ``r1_a + r2_b``."""
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
    """Whether tokens that come one by one give what they give together."""
    return not layer.together


@operation
def _read(x: Array, rows: Array, chosen: Array) -> Array:
    """Each token against the rows of its experts [b q j], which are read where they stand."""
    return einsum("bqd,bqjd->bqj", x, rows[chosen])


@operation
def _written(a: Array, rows: Array, chosen: Array) -> Array:
    """The rows of its experts, weighted by ``a`` [b q j]."""
    return einsum("bqj,bqjd->bqd", a, rows[chosen])
