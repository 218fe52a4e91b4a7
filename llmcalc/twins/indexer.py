"""The indexer of sparse attention [deepseek2025v32, Section 2]: scores all tokens cheaply; attention sees the best.

It stands within an attention layer. Only the order of the scores matters, so no factor common to all of them is applied,
and no gradient flows through a choice.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy import einsum

from .functions import layernorm, rmsnorm
from .rope import rotate, rotate_end
from .step import State, Step
from .weights import Array, Weight, Weights, constant, matrix, vector

KEY_EPS = 1e-6


class Indexer(NamedTuple):
    """What the attention layer around it says of its indexer.

    Attributes:
        d_query: width of the latent that queries are made of; None: they are made of the layer's input.
        top_k: tokens that are chosen.
        weighted: heads are weighed by a projection of the input.
        rotary_dim: how much of a head is rotated.
        interleaved: pairs that are rotated are neighbours.
        rotates_end: the last numbers of a head are rotated, not the first.
    """

    d_model: int
    n_heads: int
    d_head: int
    top_k: int
    rotary_dim: int
    d_query: int | None = None
    weighted: bool = True
    key_norm: str = "layernorm"
    query_norm: bool = False
    interleaved: bool = False
    rotates_end: bool = False


def weights(layer: Indexer) -> list[Weight]:
    """Queries, one key a token, the norm of the key, and what weighs the heads."""
    d, heads = layer.d_model, (layer.n_heads, layer.d_head)
    found = [matrix("wq", layer.d_query or d, heads), matrix("wk", d, layer.d_head)]
    found += [vector("k_norm", layer.d_head, mean=1.0)]
    found += [vector("k_norm_b", layer.d_head)] if layer.key_norm == "layernorm" else []
    found += [vector("q_norm", layer.d_head, mean=1.0)] if layer.query_norm else []
    return found + ([matrix("ww", d, layer.n_heads)] if layer.weighted else [])


def not_chosen(
    layer: Indexer, around: Any, w: Weights, x: Array, latent: Array | None, step: Step, state: State | None
) -> Array:
    """Which tokens a query does not look at [b q k], for ``x`` [b q d] and the queries' ``latent`` [b q r].

    ``around`` is the attention layer, whose rotary angles these are, too.
    """
    total = np.asarray(_scores(layer, around, w.constant(), constant(x), constant(latent), step, state))
    later = step.positions[:, None] < np.arange(total.shape[-1])
    ranked = np.argsort(np.where(later, np.inf, -total), axis=-1, kind="stable")
    hidden = np.ones(total.shape, bool)
    np.put_along_axis(hidden, ranked[..., : layer.top_k], False, axis=-1)
    return hidden | later


def _scores(
    layer: Indexer, around: Any, w: Weights, x: Array, latent: Array | None, step: Step, state: State | None
) -> Array:
    """``Σ_heads weight · relu(q k)`` of every token in sight [b q k]."""
    q = einsum("bqr,rie->bqie", x if latent is None else latent, w.wq)
    k = einsum("bqd,de->bqe", x, w.wk)
    if layer.query_norm:
        q = rmsnorm(q, KEY_EPS, w.q_norm)
    k = rmsnorm(k, KEY_EPS, w.k_norm) if layer.key_norm == "rmsnorm" else layernorm(k, KEY_EPS, w.k_norm, w.k_norm_b)
    q, k = _placed(layer, around, q, step), _placed(layer, around, k[:, :, None], step)[:, :, 0]
    if state and "ik" in state:
        k = np.concatenate([state["ik"], k], axis=1)
    if state is not None:
        state["ik"] = k
    scores = einsum("bqie,bke->biqk", q, k)
    return einsum("bqi,biqk->bqk", einsum("bqd,di->bqi", x, w.ww), np.maximum(scores, 0.0))


def _placed(layer: Indexer, around: Any, x: Array, step: Step) -> Array:
    turn = rotate_end if layer.rotates_end else rotate
    return turn(around, x, step.positions, layer.rotary_dim, layer.interleaved)
