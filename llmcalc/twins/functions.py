"""The elementwise functions and norms that the layers are made of."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .weights import Array

erf_of = np.frompyfunc(math.erf, 1, 1)  # a ufunc like any other; NumPy itself has none


def erf(x: Array) -> Array:
    """The error function."""
    y: Array = erf_of(x)
    return y.astype(x.dtype)


def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))``, by tanh, which does not overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def softplus(x: Array) -> Array:
    """``log(1 + exp(x))``."""
    return np.logaddexp(x, 0.0)


def gelu(x: Array) -> Array:
    """``x Φ(x)`` [hendrycks2016]."""
    return x * 0.5 * (1.0 + erf(x / math.sqrt(2.0)))


def gelu_tanh(x: Array) -> Array:
    """The approximation of gelu that GPT-2 uses [hendrycks2016]."""
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def silu(x: Array) -> Array:
    """``x sigmoid(x)``."""
    return x * sigmoid(x)


def relu(x: Array) -> Array:
    """``max(x, 0)``."""
    return np.maximum(x, 0.0)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda x: x,
    "relu": relu,
    "relu2": lambda x: relu(x) ** 2,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "gelu_new": gelu_tanh,
    "quick_gelu": lambda x: x * sigmoid(1.702 * x),
    "silu": silu,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "tanh": np.tanh,
}


def softmax(x: Array, axis: int = -1) -> Array:
    """Over one axis; the maximum is taken off first, so that nothing overflows."""
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def rmsnorm(x: Array, eps: float, scale: Array | None = None) -> Array:
    """``x / sqrt(mean(x²) + eps) · scale`` [zhang2019], over the last axis."""
    y = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)
    return y if scale is None else y * scale


def layernorm(x: Array, eps: float, scale: Array | None = None, bias: Array | None = None) -> Array:
    """``(x - mean) / sqrt(variance + eps) · scale + bias`` [ba2016], over the last axis."""
    centred = x - np.mean(x, axis=-1, keepdims=True)
    y = rmsnorm(centred, eps, scale)
    return y if bias is None else y + bias


def l2norm(x: Array, eps: float = 1e-6) -> Array:
    """``x / sqrt(sum(x²) + eps)``, over the last axis."""
    return x / np.sqrt(np.sum(x * x, axis=-1, keepdims=True) + eps)


def softcap(x: Array, bound: float) -> Array:
    """``bound · tanh(x / bound)``: like x where it is small, never beyond the bound."""
    return bound * np.tanh(x / bound)


def plus(x: Array, bias: Array | None) -> Array:
    """``x + bias``, where there is one."""
    return x if bias is None else x + bias
