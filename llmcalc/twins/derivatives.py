"""The derivatives of the named functions, as textbooks have them: from the result alone, or from the input and a row.

A function that is not listed keeps its inputs, and is computed again for its derivative (tape.py).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import functions
from .gradients import Result, Way, fitted
from .weights import Array


def sigmoid(x: Array) -> Result:
    """From the result."""
    y = functions.sigmoid(x)
    return Result(y, [Way(lambda g: g * y * (1.0 - y), (y,))])


def relu(x: Array) -> Result:
    """From the result, which is 0 where nothing flows."""
    y = functions.relu(x)
    return Result(y, [Way(lambda g: g * (y > 0), (y,))])


def softcap(x: Array, bound: float) -> Result:
    """From the result."""
    y = functions.softcap(x, bound)
    return Result(y, [Way(lambda g: g * (1.0 - (y / bound) ** 2), (y,)), Way(lambda g: g)])


def softmax(x: Array, sink: Array | None = None) -> Result:
    """From the result: a sink has what the others leave of 1; what was masked out has nothing."""
    y = functions.softmax(x, sink)

    def to_sink(g: Array) -> Array:
        left = 1.0 - np.sum(y, axis=-1, keepdims=True)
        return fitted(-left * np.sum(g * y, axis=-1, keepdims=True), _shape(sink))

    return Result(y, [Way(lambda g: y * (g - np.sum(g * y, axis=-1, keepdims=True)), (y,)), Way(to_sink, (y,))])


def log_softmax(x: Array) -> Result:
    """From the result."""
    y = functions.log_softmax(x)
    return Result(y, [Way(lambda g: g - np.exp(y) * np.sum(g, axis=-1, keepdims=True), (y,))])


def rmsnorm(x: Array, eps: float, scale: Array | None = None) -> Result:
    """From the input and the root of each row."""
    root = 1.0 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)
    return _normalised(functions.rmsnorm(x, eps, scale), x, None, root, scale)


def layernorm(x: Array, eps: float, scale: Array | None = None, bias: Array | None = None) -> Result:
    """From the input, the mean and the root of each row."""
    mean = np.mean(x, axis=-1, keepdims=True)
    root = 1.0 / np.sqrt(np.mean((x - mean) ** 2, axis=-1, keepdims=True) + eps)
    return _normalised(functions.layernorm(x, eps, scale, bias), x, mean, root, scale, bias)


def _normalised(
    value: Array, x: Array, mean: Array | None, root: Array, scale: Array | None, bias: Array | None = None
) -> Result:
    """``(x - mean) · root · scale + bias``, where mean and root depend on x."""

    def inner() -> Array:
        return (x if mean is None else x - mean) * root

    def to_x(g: Array) -> Array:
        y = inner()
        h = g if scale is None else g * scale
        h_mean = 0.0 if mean is None else np.mean(h, axis=-1, keepdims=True)
        return root * (h - h_mean - y * np.mean(h * y, axis=-1, keepdims=True))

    rows = (root,) if mean is None else (mean, root)
    ways = [Way(to_x, (x, *rows, scale)), Way(lambda g: g)]
    ways += [Way(lambda g: fitted(g * inner(), _shape(scale)), (x, *rows))]
    return Result(value, [*ways, Way(lambda g: fitted(g, _shape(bias)))])


def _shape(array: Array) -> tuple[int, ...]:
    return tuple(np.shape(array))


RULES: dict[str, Callable[..., Result]] = {
    rule.__name__: rule for rule in (sigmoid, relu, softcap, softmax, log_softmax, rmsnorm, layernorm)
}
