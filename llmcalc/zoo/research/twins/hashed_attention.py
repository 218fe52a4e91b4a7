"""YOSO [zeng2021]: attention as the chance that the hashes of a query and a key collide."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ....twins.functions import collision, l2norm, operation
from ....twins.heads import add_value_convolution, convolution_weights, join, project, scores
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights

SEED = 0  # of the random planes
TINY = 1e-24  # so that nothing is divided by zero where no hashes collide


def weights(layer: Any) -> list[Weight]:
    """Projections, and a filter over the values for each head."""
    return convolution_weights(layer)


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``(normalise(Σ chance(q, k) v) + conv(v)) wo``: the chance itself, or as often as samples of hashes collide."""
    step.must_be_whole(layer.kind())
    q, k, v = (project(w, name, x) for name in "qkv")
    mixed = l2norm(_expected(layer, q, k, v) if layer.expected else _sampled(q, k, v, layer.n_hashes, layer.bits), TINY)
    return join(w, add_value_convolution(layer, w, mixed, v))


def _expected(layer: Any, q: Array, k: Array, v: Array) -> Array:
    return einsum("bhqk,bkhe->bqhe", collision(scores(l2norm(q, TINY), l2norm(k, TINY)), layer.bits), v)


@operation
def _sampled(q: Array, k: Array, v: Array, hashes: int, bits: int) -> Array:
    """The mean over hashes of the values whose keys share the query's bucket.

    No gradient flows through a hash: queries and keys get that of the chance, which adds nothing here.
    """
    planes = np.random.default_rng(SEED).standard_normal((*q.shape[2:], hashes, bits))
    q_code, k_code = (_buckets(x, planes) for x in (q, k))
    share = np.mean(q_code[:, :, None] == k_code[:, None], axis=-1)  # [b q k h]
    cosine = np.sum(l2norm(q, TINY)[:, :, None] * l2norm(k, TINY)[:, None], axis=-1)
    slope = collision(cosine, bits)
    return np.sum((share + (slope - np.asarray(slope)))[..., None] * v[:, None], axis=2)


def _buckets(x: Array, planes: Array) -> Array:
    """On which side of each plane of a hash a vector lies, as a number [b q h n]."""
    sides = np.asarray(einsum("bqhe,henj->bqhnj", x, planes)) > 0
    return np.sum(sides * 2 ** np.arange(planes.shape[-1]), axis=-1)
