"""Elementwise functions and norms used by the layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from .weights import Array


def operation(function: Callable[..., Array]) -> Callable[..., Array]:
    """Decorate a function so that a tape records it as one operation and saves fewer activations."""

    @wraps(function)
    def one(*inputs: Any) -> Array:
        tape = next((value.tape for value in inputs if hasattr(value, "tape")), None)
        return function(*inputs) if tape is None else tape.call(function, inputs)

    return one


erf_of = np.frompyfunc(math.erf, 1, 1)  # NumPy has no erf ufunc


def erf(x: Array) -> Array:
    """Compute the error function of ``x``."""
    y: Array = erf_of(x)
    return y.astype(x.dtype)


@operation
def sigmoid(x: Array) -> Array:
    """Compute ``1 / (1 + exp(-x))`` using tanh to avoid overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


@operation
def shift(x: Array, last: Array) -> Array:
    """Return the token before each token of ``x`` [b q d], which is ``last`` [b d] for the first token."""
    return np.concatenate([last[:, None], x[:, :-1]], axis=1)


@operation
def softplus(x: Array) -> Array:
    """Compute ``log(1 + exp(x))``."""
    return np.logaddexp(x, 0.0)


@operation
def gelu(x: Array) -> Array:
    """Compute ``x Φ(x)`` [hendrycks2016]."""
    return x * 0.5 * (1.0 + erf(x / math.sqrt(2.0)))


@operation
def gelu_tanh(x: Array) -> Array:
    """Compute the tanh approximation of GELU [hendrycks2016], as in GPT-2."""
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


@operation
def silu(x: Array) -> Array:
    """Compute ``x sigmoid(x)``."""
    return x * sigmoid(x)


@operation
def relu(x: Array) -> Array:
    """Compute ``max(x, 0)``."""
    return np.maximum(x, 0.0)


@operation
def relu2(x: Array) -> Array:
    """Compute ``max(x, 0)²``."""
    return np.maximum(x, 0.0) ** 2


@operation
def quick_gelu(x: Array) -> Array:
    """Compute the sigmoid approximation of GELU [hendrycks2016]."""
    return x * sigmoid(1.702 * x)


@operation
def sqrt_softplus(x: Array) -> Array:
    """Compute ``sqrt(softplus(x))``."""
    return np.sqrt(softplus(x))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda x: x,
    "relu": relu,
    "relu2": relu2,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "gelu_new": gelu_tanh,
    "quick_gelu": quick_gelu,
    "silu": silu,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "tanh": np.tanh,
}


@operation
def softmax(x: Array, sink: Array | None = None) -> Array:
    """Compute the softmax over the last axis, with an optional sink logit in the denominator."""
    most = np.max(x, axis=-1, keepdims=True)
    most = most if sink is None else np.maximum(most, sink)
    e = np.exp(x - most)
    total = np.sum(e, axis=-1, keepdims=True)
    return e / (total if sink is None else total + np.exp(sink - most))


@operation
def divide_by_sum(x: Array, eps: float = 0.0, power: float = 1.0) -> Array:
    """Divide ``x`` by ``sum(x) + eps`` over the last axis, or by ``sum(x^power)^(1/power)`` if ``power`` is not 1."""
    if power != 1.0:
        return x / np.sum(x**power, axis=-1, keepdims=True) ** (1 / power)
    return x / (np.sum(x, axis=-1, keepdims=True) + eps)


@operation
def log_softmax(x: Array) -> Array:
    """Compute the logarithm of the softmax over the last axis."""
    shifted = x - np.max(x, axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


@operation
def rmsnorm(x: Array, eps: float, scale: Array | None = None) -> Array:
    """Compute ``x / sqrt(mean(x²) + eps) · scale`` over the last axis [zhang2019]."""
    y = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)
    return y if scale is None else y * scale


@operation
def layernorm(x: Array, eps: float, scale: Array | None = None, bias: Array | None = None) -> Array:
    """Compute ``(x - mean) / sqrt(variance + eps) · scale + bias`` over the last axis [ba2016]."""
    y = rmsnorm(x - np.mean(x, axis=-1, keepdims=True), eps, scale)
    return y if bias is None else y + bias


@operation
def l2norm(x: Array, eps: float = 1e-6) -> Array:
    """Compute ``x / sqrt(sum(x²) + eps)`` over the last axis."""
    return x / np.sqrt(np.sum(x * x, axis=-1, keepdims=True) + eps)


def normalise(function: str, x: Array, eps: float, scale: Array | None = None, bias: Array | None = None) -> Array:
    """Normalise ``x`` with the norm named ``function``, with optional scale and bias."""
    if function == "layernorm":
        return layernorm(x, eps, scale, bias)
    if function == "rmsnorm":
        return plus(rmsnorm(x, eps, scale), bias)
    return plus(l2norm(x, eps) if scale is None else l2norm(x, eps) * scale, bias)


@operation
def softcap(x: Array, bound: float) -> Array:
    """Compute ``bound · tanh(x / bound)``."""
    return bound * np.tanh(x / bound)


@operation
def collision(cosine: Array, bits: int) -> Array:
    """Compute the LSH collision probability of two vectors, ``(1 - arccos(cosine) / π)^bits`` [zeng2021]."""
    return (1.0 - np.arccos(cosine) / math.pi) ** bits


def largest(scores: Array, count: int) -> Array:
    """Return a mask of the ``count`` largest elements along the last axis."""
    found = np.zeros(scores.shape, bool)
    np.put_along_axis(found, np.argsort(-scores, axis=-1, kind="stable")[..., :count], True, axis=-1)
    return found


def times(x: Array, factor: float) -> Array:
    """Return ``x · factor``, or ``x`` unchanged if ``factor`` is 1."""
    return x if factor == 1.0 else x * factor


def plus(x: Array, bias: Array | None) -> Array:
    """Return ``x + bias``, or ``x`` unchanged if ``bias`` is None."""
    return x if bias is None else x + bias


def pad(x: Array, size: int, axis: int = 1) -> Array:
    """Pad ``x`` with zeros at the end of an axis to a multiple of ``size``."""
    missing = [*x.shape[:axis], -x.shape[axis] % size, *x.shape[axis + 1 :]]
    return np.concatenate([x, np.zeros(missing)], axis=axis) if missing[axis] else x
