"""The derivative of every NumPy operation that the layers use: its result, and how a gradient flows back through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .functions import erf_of
from .weights import Array

Vjp = Callable[[Array], Array]  # from the gradient of the result to that of an input


class Result(NamedTuple):
    """An operation's result, the way back to each of its inputs, and the arrays that this way needs."""

    value: Array
    vjps: Sequence[Vjp]
    saved: tuple[Array, ...] = ()


def fitted(gradient: Array, shape: tuple[int, ...]) -> Array:
    """A gradient summed over the dimensions along which its input was repeated."""
    extra = gradient.ndim - len(shape)
    gradient = np.sum(gradient, axis=tuple(range(extra))) if extra else gradient
    repeated = tuple(axis for axis, size in enumerate(shape) if size == 1 and gradient.shape[axis] != 1)
    return np.sum(gradient, axis=repeated, keepdims=True) if repeated else gradient


def _both(value: Array, a: Array, b: Array, first: Vjp, second: Vjp, *saved: Array) -> Result:
    shapes = np.shape(a), np.shape(b)
    return Result(value, [lambda g: fitted(first(g), shapes[0]), lambda g: fitted(second(g), shapes[1])], saved)


def add(a: Array, b: Array) -> Result:
    """The gradient goes to both."""
    return _both(a + b, a, b, lambda g: g, lambda g: g)


def subtract(a: Array, b: Array) -> Result:
    """The gradient goes to both, with two signs."""
    return _both(a - b, a, b, lambda g: g, lambda g: -g)


def multiply(a: Array, b: Array) -> Result:
    """Each gets it times the other."""
    return _both(a * b, a, b, lambda g: g * np.conj(b), lambda g: g * np.conj(a), *_arrays(a, b))


def divide(a: Array, b: Array) -> Result:
    """By the quotient rule."""
    y = a / b
    return _both(y, a, b, lambda g: g / b, lambda g: -g * y / b, *_arrays(y, b))


def power(a: Array, exponent: float) -> Result:
    """For a constant exponent."""
    return Result(a**exponent, [lambda g: g * exponent * a ** (exponent - 1), lambda g: g], (a,))


def maximum(a: Array, b: Array) -> Result:
    """The larger one gets it."""
    larger = np.greater(a, b)
    return _both(np.maximum(a, b), a, b, lambda g: g * larger, lambda g: g * ~larger, larger)


def minimum(a: Array, b: Array) -> Result:
    """The smaller one gets it."""
    smaller = np.less(a, b)
    return _both(np.minimum(a, b), a, b, lambda g: g * smaller, lambda g: g * ~smaller, smaller)


def logaddexp(a: Array, b: Array) -> Result:
    """Each gets its share of the sum of exponentials."""
    y = np.logaddexp(a, b)
    return _both(y, a, b, lambda g: g * np.exp(a - y), lambda g: g * np.exp(b - y), *_arrays(a, y))


def _of_output(function: Any, derivative: Callable[[Array], Array]) -> Callable[[Array], Result]:
    def rule(a: Array) -> Result:
        y = function(a)
        return Result(y, [lambda g: g * derivative(y)], (y,))

    return rule


def _of_input(function: Any, derivative: Callable[[Array], Array]) -> Callable[[Array], Result]:
    return lambda a: Result(function(a), [lambda g: g * derivative(a)], (a,))


_UFUNCS: dict[Any, Callable[..., Result]] = {
    np.add: add,
    np.subtract: subtract,
    np.multiply: multiply,
    np.true_divide: divide,
    np.power: power,
    np.maximum: maximum,
    np.minimum: minimum,
    np.logaddexp: logaddexp,
    np.negative: lambda a: Result(-a, [lambda g: -g]),
    np.exp: _of_output(np.exp, lambda y: y),
    np.tanh: _of_output(np.tanh, lambda y: 1 - y * y),
    np.sqrt: _of_output(np.sqrt, lambda y: 0.5 / y),
    np.sin: _of_input(np.sin, np.cos),
    np.log: _of_input(np.log, lambda a: 1 / a),
    np.arccos: _of_input(np.arccos, lambda a: -1 / np.sqrt(1 - a * a)),
    erf_of: _of_input(erf_of, lambda a: 2 / np.sqrt(np.pi) * np.exp(-a * a)),
}


def einsum(spec: str, a: Array, b: Array) -> Result:
    """Each factor gets the gradient contracted with the other."""
    left, output = spec.split("->")
    first, second = left.split(",")
    return Result(
        np.einsum(spec, a, b),
        [
            lambda g: np.einsum(f"{output},{second}->{first}", g, b),
            lambda g: np.einsum(f"{output},{first}->{second}", g, a),
        ],
        (a, b),
    )


def take(a: Array, index: Any) -> Result:
    """What was taken more than once gets the sum."""

    def back(g: Array) -> Array:
        whole = np.zeros(a.shape, g.dtype)
        np.add.at(whole, index, np.asarray(g))
        return whole

    return Result(a[index], [back])


def reshape(a: Array, shape: Any) -> Result:
    """Back into the old shape."""
    old = a.shape
    return Result(a.reshape(*shape), [lambda g: g.reshape(old)])


def astype(a: Array, dtype: Any) -> Result:
    """As it is."""
    return Result(a.astype(dtype), [lambda g: g])


def transpose(a: Array, axes: Any) -> Result:
    """The dimensions back in their old order."""
    return Result(np.transpose(a, axes), [lambda g: np.transpose(g, np.argsort(axes))])


def total(a: Array, axis: Any = None, keepdims: bool = False) -> Result:
    """Every number gets the gradient of its sum."""
    return Result(np.sum(a, axis=axis, keepdims=keepdims), [lambda g: _spread(g, a.shape, axis, keepdims)])


def mean(a: Array, axis: Any = None, keepdims: bool = False) -> Result:
    """As a sum, shared out."""
    y = np.mean(a, axis=axis, keepdims=keepdims)
    share = y.size / a.size
    return Result(y, [lambda g: _spread(g, a.shape, axis, keepdims) * share])


def largest(a: Array, axis: Any = None, keepdims: bool = False) -> Result:
    """The largest number gets it; equal ones share."""
    y = np.max(a, axis=axis, keepdims=True)
    chosen = a == y
    value = y if keepdims else np.max(a, axis=axis)
    shares = np.sum(chosen, axis=axis, keepdims=True)
    return Result(value, [lambda g: _spread(g, a.shape, axis, keepdims) * chosen / shares], (chosen,))


def _spread(g: Array, shape: tuple[int, ...], axis: Any, keepdims: bool) -> Array:
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, shape)


def cumsum(a: Array, axis: int) -> Result:
    """A number is part of every later sum."""
    return Result(np.cumsum(a, axis=axis), [lambda g: np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)])


def where(condition: Array, a: Array, b: Array) -> Result:
    """The chosen one gets it."""
    value = np.where(condition, a, b)
    return _both(value, a, b, lambda g: np.where(condition, g, 0.0), lambda g: np.where(condition, 0.0, g), condition)


def clip(a: Array, low: float, high: float | None) -> Result:
    """What was not clipped gets it."""
    inside = (a >= low) & (a <= (np.inf if high is None else high))
    return Result(np.clip(a, low, high), [lambda g: g * inside], (inside,))


def repeat(a: Array, times: int, axis: int) -> Result:
    """The copies' gradients add up."""
    folded = (*a.shape[: axis + 1], times, *a.shape[axis + 1 :])
    return Result(np.repeat(a, times, axis=axis), [lambda g: np.sum(g.reshape(folded), axis=axis + 1)])


def concatenate(parts: list[Array], axis: int = 0) -> Result:
    """Each part gets its piece."""
    ends = np.cumsum([part.shape[axis] for part in parts])

    def piece(number: int) -> Vjp:
        start = 0 if number == 0 else int(ends[number - 1])
        return lambda g: g[(slice(None),) * (axis % g.ndim) + (slice(start, int(ends[number])),)]

    return Result(np.concatenate(parts, axis=axis), [piece(number) for number in range(len(parts))])


def stack(parts: list[Array], axis: int = 0) -> Result:
    """Each part gets its layer."""

    def layer(number: int) -> Vjp:
        return lambda g: g[(slice(None),) * (axis % g.ndim) + (number,)]

    return Result(np.stack(parts, axis=axis), [layer(number) for number in range(len(parts))])


def fft(a: Array, n: int, axis: int) -> Result:
    """The adjoint of a transform is its inverse without the factor 1/n."""
    length, is_real = a.shape[axis], not np.iscomplexobj(a)

    def back(g: Array) -> Array:
        whole = np.fft.ifft(g, axis=axis) * n
        piece = whole[(slice(None),) * axis + (slice(0, length),)]
        return np.real(piece) if is_real else piece

    return Result(np.fft.fft(a, n, axis=axis), [back])


def ifft(a: Array, axis: int) -> Result:
    """Likewise."""
    n = a.shape[axis]
    return Result(np.fft.ifft(a, axis=axis), [lambda g: np.fft.fft(g, axis=axis) / n])


_FUNCTIONS: dict[Any, Callable[..., Result]] = {
    np.einsum: einsum,
    np.transpose: transpose,
    np.sum: total,
    np.mean: mean,
    np.max: largest,
    np.cumsum: cumsum,
    np.where: where,
    np.clip: clip,
    np.repeat: repeat,
    np.concatenate: concatenate,
    np.stack: stack,
    np.fft.fft: fft,
    np.fft.ifft: ifft,
    np.real: lambda a: Result(np.real(a), [lambda g: g]),
}
OF_LISTS = frozenset({np.concatenate, np.stack})
FIRST = {np.einsum: 1, np.where: 1}  # arguments before the first that has a gradient


def of_ufunc(ufunc: Any) -> Callable[..., Result]:
    """The rule of an elementwise function."""
    return _known(_UFUNCS, ufunc)


def of_function(function: Any) -> Callable[..., Result]:
    """The rule of a function of whole arrays."""
    return _known(_FUNCTIONS, function)


def _known(rules: dict[Any, Callable[..., Result]], operation: Any) -> Callable[..., Result]:
    if operation not in rules:
        raise NotImplementedError(f"the tape does not know the derivative of {operation.__name__}")
    return rules[operation]


def _arrays(*values: Any) -> tuple[Array, ...]:
    return tuple(value for value in values if np.ndim(value))
