"""YOSO attention [zeng2021], weighted by the collision probabilities of hashed queries and keys."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ....twins.functions import collision, l2norm, operation
from ....twins.heads import add_value_convolution, dot_products, join, project
from ....twins.heads import convolution_weights as weights
from ....twins.step import State, Step
from ....twins.weights import Array, Weights

__all__ = ["forward", "weights"]

SEED = 0  # seed of the random planes
TINY = 1e-24  # avoids division by zero if no hashes collide


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``(normalise(Σ P(q, k) v) + conv(v)) wo``, where P is the exact or sampled collision probability."""
    step.must_be_whole(layer.kind())
    q, k, v = (project(w, name, x) for name in "qkv")
    if layer.expected:
        mixed = einsum("bhqk,bkhe->bqhe", collision(dot_products(l2norm(q, TINY), l2norm(k, TINY)), layer.bits), v)
    else:
        mixed = _sample(q, k, v, layer.n_hashes, layer.bits)
    return join(w, add_value_convolution(layer, w, l2norm(mixed, TINY), v))


@operation
def _sample(q: Array, k: Array, v: Array, hashes: int, bits: int) -> Array:
    """Return the sum of the values whose keys share the query's bucket, averaged over all hashes.

    Hashes have no gradient. A zero-valued term gives queries and keys the collision probability's gradient.
    """
    planes = np.random.default_rng(SEED).standard_normal((*q.shape[2:], hashes, bits))
    q_code, k_code = (_buckets(x, planes) for x in (q, k))
    share = np.mean(q_code[:, :, None] == k_code[:, None], axis=-1)  # [b q k h]
    cosine = np.sum(l2norm(q, TINY)[:, :, None] * l2norm(k, TINY)[:, None], axis=-1)
    slope = collision(cosine, bits)
    return np.sum((share + (slope - np.asarray(slope)))[..., None] * v[:, None], axis=2)


def _buckets(x: Array, planes: Array) -> Array:
    """Return each vector's buckets [b q h n]. Each bit indicates the side of a plane on which the vector lies."""
    sides = np.asarray(einsum("bqhe,henj->bqhnj", x, planes)) > 0
    return np.sum(sides * 2 ** np.arange(planes.shape[-1]), axis=-1)
