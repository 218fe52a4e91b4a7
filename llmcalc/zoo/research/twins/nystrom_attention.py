"""Nyström attention [xiong2021, Section 3] with scores approximated by landmarks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.functions import operation, softmax
from ....twins.heads import add_value_convolution, dot_products, join, mix, project
from ....twins.heads import convolution_weights as weights
from ....twins.step import State, Step
from ....twins.weights import Array, Weights

__all__ = ["forward", "weights"]
STEPS = 6  # iterations of the approximate inverse


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``(softmax(q klᵀ) · softmax(ql klᵀ)⁻¹ · softmax(ql kᵀ) v + conv(v)) wo`` for landmarks ql and kl."""
    step.must_be_whole(layer.kind())
    q, k, v = (project(w, name, x) for name in "qkv")
    root = math.sqrt(math.sqrt(q.shape[-1]))  # scales queries and keys alike, and hence the landmarks
    q, k = q / root, k / root
    mixed = _through_landmarks(layer, q, k, v) if layer.n_landmarks else mix(dot_products(q, k), v)
    return join(w, add_value_convolution(layer, w, mixed, v))


def _through_landmarks(layer: Any, q: Array, k: Array, v: Array) -> Array:
    ql, kl = _landmarks(layer, q), _landmarks(layer, k)
    near = einsum("bhqm,bhmn->bhqn", softmax(dot_products(q, kl)), _inverse(softmax(dot_products(ql, kl))))
    return einsum("bhqm,bmhe->bqhe", near, mix(dot_products(ql, k), v))


def _landmarks(layer: Any, x: Array) -> Array:
    """Return the means [b m h e] of equal-length segments."""
    b, tokens, h, e = x.shape
    if tokens % layer.n_landmarks:
        text = f"the number of tokens ({tokens}) must be a multiple of n_landmarks ({layer.n_landmarks})"
        raise UnsupportedError(text, where="nystrom_attention")
    return np.mean(x.reshape(b, layer.n_landmarks, -1, h, e), axis=2)


def _inverse(a: Array) -> Array:
    """Approximate the pseudo-inverse of a softmax [b h m n] by iterating ``z = z/4 (13 - az (15 - az (7 - az)))``.

    The initial value is scaled by the largest column sum over all heads and sequences, as in the paper.
    """
    one, z = np.eye(a.shape[-1]), _start(a)
    for _ in range(STEPS):
        az = _product(a, z)
        z = 0.25 * _product(z, 13 * one - _product(az, 15 * one - _product(az, 7 * one - az)))
    return z


@operation
def _start(a: Array) -> Array:
    return np.transpose(a, (0, 1, 3, 2)) / np.max(np.sum(a, axis=-2))


def _product(a: Array, b: Array) -> Array:
    return einsum("bhmo,bhon->bhmn", a, b)
