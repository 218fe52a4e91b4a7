"""Nyström attention [xiong2021, Section 3]: the matrix of scores through a few landmarks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.functions import operation, softmax
from ....twins.heads import add_value_convolution, convolution_weights, join, mix, project, scores
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights

STEPS = 6  # of the iteration towards the inverse


def weights(layer: Any) -> list[Weight]:
    """Projections, and a filter over the values for each head."""
    return convolution_weights(layer)


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``(softmax(q klᵀ) · softmax(ql klᵀ)⁻¹ · softmax(ql kᵀ) v + conv(v)) wo`` with landmarks ``ql``, ``kl``."""
    step.must_be_whole(layer.kind())
    q, k, v = (project(w, name, x) for name in "qkv")
    root = math.sqrt(math.sqrt(q.shape[-1]))  # half of the scale to each side, so that landmarks have it too
    q, k = q / root, k / root
    mixed = _through_landmarks(layer, q, k, v) if layer.n_landmarks else mix(scores(q, k), v)
    return join(w, add_value_convolution(layer, w, mixed, v))


def _through_landmarks(layer: Any, q: Array, k: Array, v: Array) -> Array:
    ql, kl = _landmarks(layer, q), _landmarks(layer, k)
    near = einsum("bhqm,bhmn->bhqn", softmax(scores(q, kl)), _inverse(softmax(scores(ql, kl))))
    return einsum("bhqm,bmhe->bqhe", near, mix(scores(ql, k), v))


def _landmarks(layer: Any, x: Array) -> Array:
    """The means of equally long stretches of tokens [b m h e]."""
    b, tokens, h, e = x.shape
    if tokens % layer.n_landmarks:
        raise UnsupportedError(
            f"{tokens} tokens are no multiple of {layer.n_landmarks} landmarks", where="nystrom_attention"
        )
    return np.mean(x.reshape(b, layer.n_landmarks, -1, h, e), axis=2)


def _inverse(a: Array) -> Array:
    """About the pseudo-inverse of a softmax [b h m n]: ``z = z/4 (13 - az (15 - az (7 - az)))`` again and again.

    What it begins with is scaled by the largest column sum of all heads and texts together, as published.
    """
    one, z = np.eye(a.shape[-1]), _first(a)
    for _ in range(STEPS):
        az = _times(a, z)
        z = 0.25 * _times(z, 13 * one - _times(az, 15 * one - _times(az, 7 * one - az)))
    return z


@operation
def _first(a: Array) -> Array:
    return np.transpose(a, (0, 1, 3, 2)) / np.max(np.sum(a, axis=-2))


def _times(a: Array, b: Array) -> Array:
    return einsum("bhmo,bhon->bhmn", a, b)
