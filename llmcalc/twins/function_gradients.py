"""Derivatives of the named functions of ``functions.py`` that save less than their steps would.

A function without a rule here saves its inputs and is recomputed in the backward pass (``tape.py``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import functions
from .gradients import Pullback, Result, sum_to_shape
from .weights import Array


def sigmoid(x: Array) -> Result:
    """Saves the result."""
    y = functions.sigmoid(x)
    return Result(y, [Pullback(lambda g: g * y * (1.0 - y), (y,))])


def relu(x: Array) -> Result:
    """Saves the result, which is 0 where no gradient flows."""
    y = functions.relu(x)
    return Result(y, [Pullback(lambda g: g * (y > 0), (y,))])


def softcap(x: Array, bound: float) -> Result:
    """Saves the result."""
    y = functions.softcap(x, bound)
    return Result(y, [Pullback(lambda g: g * (1.0 - (y / bound) ** 2), (y,)), Pullback(lambda g: g)])


def softmax(x: Array, sink: Array | None = None) -> Result:
    """Saves the result; a sink's probability is 1 minus the sum of the others."""
    y = functions.softmax(x, sink)

    def to_sink(g: Array) -> Array:
        sink_share = 1.0 - np.sum(y, axis=-1, keepdims=True)
        return sum_to_shape(-sink_share * np.sum(g * y, axis=-1, keepdims=True), _shape(sink))

    return Result(
        y, [Pullback(lambda g: y * (g - np.sum(g * y, axis=-1, keepdims=True)), (y,)), Pullback(to_sink, (y,))]
    )


def collision(x: Array, bits: int) -> Result:
    """Saves the result."""
    y = functions.collision(x, bits)

    def back(g: Array) -> Array:
        one = y ** (1 / bits)  # probability that one hyperplane does not separate them
        return g * bits * y / one / (np.pi * np.sin(np.pi * (1 - one)))

    return Result(y, [Pullback(back, (y,)), Pullback(lambda g: g)])


def log_softmax(x: Array) -> Result:
    """Saves the result."""
    y = functions.log_softmax(x)
    return Result(y, [Pullback(lambda g: g - np.exp(y) * np.sum(g, axis=-1, keepdims=True), (y,))])


def rmsnorm(x: Array, eps: float, scale: Array | None = None) -> Result:
    """Saves the input and the reciprocal root mean square of each row."""
    root = 1.0 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)
    return _norm_result(functions.rmsnorm(x, eps, scale), x, None, root, scale)


def layernorm(x: Array, eps: float, scale: Array | None = None, bias: Array | None = None) -> Result:
    """Saves the input, and the mean and reciprocal standard deviation of each row."""
    mean = np.mean(x, axis=-1, keepdims=True)
    root = 1.0 / np.sqrt(np.mean((x - mean) ** 2, axis=-1, keepdims=True) + eps)
    return _norm_result(functions.layernorm(x, eps, scale, bias), x, mean, root, scale, bias)


def _norm_result(
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
    pullbacks = [Pullback(to_x, (x, *rows, scale)), Pullback(lambda g: g)]
    pullbacks += [Pullback(lambda g: sum_to_shape(g * inner(), _shape(scale)), (x, *rows))]
    return Result(value, [*pullbacks, Pullback(lambda g: sum_to_shape(g, _shape(bias)))])


def _shape(array: Array) -> tuple[int, ...]:
    return tuple(np.shape(array))


RULES: dict[str, Callable[..., Result]] = {
    rule.__name__: rule for rule in (sigmoid, relu, softcap, softmax, collision, log_softmax, rmsnorm, layernorm)
}
