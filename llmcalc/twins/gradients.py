"""Results and vector-Jacobian products (VJPs) of the NumPy operations that layers use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .functions import erf_of
from .weights import Array

Vjp = Callable[[Array], Array]  # from the gradient of the result to the gradient of an input


class Pullback(NamedTuple):
    """The VJP of one input, and the arrays saved for it until the backward pass."""

    vjp: Vjp
    residuals: tuple[Any, ...] = ()


class Result(NamedTuple):
    """An operation's result, and the pullback to each of its inputs.

    Attributes:
        is_view: whether it has the elements of the first input, in another shape.
        makes_activation: whether it is more than an elementwise function, such as a contraction or a lookup.
    """

    value: Array
    pullbacks: Sequence[Pullback]
    is_view: bool = False
    makes_activation: bool = False


def sum_to_shape(gradient: Array, shape: tuple[int, ...]) -> Array:
    """A gradient summed over the dimensions along which its input was broadcast."""
    extra = gradient.ndim - len(shape)
    gradient = np.sum(gradient, axis=tuple(range(extra))) if extra else gradient
    repeated = tuple(axis for axis, size in enumerate(shape) if size == 1 and gradient.shape[axis] != 1)
    return np.sum(gradient, axis=repeated, keepdims=True) if repeated else gradient


def _binary(value: Array, a: Array, b: Array, first: Pullback, second: Pullback) -> Result:
    shapes = np.shape(a), np.shape(b)
    return Result(
        value,
        [
            Pullback(lambda g: sum_to_shape(first.vjp(g), shapes[0]), first.residuals),
            Pullback(lambda g: sum_to_shape(second.vjp(g), shapes[1]), second.residuals),
        ],
    )


def add(a: Array, b: Array) -> Result:
    """Both inputs receive the gradient."""
    return _binary(a + b, a, b, Pullback(lambda g: g), Pullback(lambda g: g))


def subtract(a: Array, b: Array) -> Result:
    """Both inputs receive the gradient, the second one negated."""
    return _binary(a - b, a, b, Pullback(lambda g: g), Pullback(lambda g: -g))


def multiply(a: Array, b: Array) -> Result:
    """Each input receives the gradient times the other input."""
    return _binary(a * b, a, b, Pullback(lambda g: g * np.conj(b), (b,)), Pullback(lambda g: g * np.conj(a), (a,)))


def divide(a: Array, b: Array) -> Result:
    """By the quotient rule."""
    return _binary(a / b, a, b, Pullback(lambda g: g / b, (b,)), Pullback(lambda g: -g * a / (b * b), (a, b)))


def power(a: Array, exponent: float) -> Result:
    """For a constant exponent."""
    return Result(a**exponent, [Pullback(lambda g: g * exponent * a ** (exponent - 1), (a,)), Pullback(lambda g: g)])


def maximum(a: Array, b: Array) -> Result:
    """The larger input receives the gradient."""
    first, second = (lambda g: g * np.greater(a, b)), (lambda g: g * ~np.greater(a, b))
    return _binary(np.maximum(a, b), a, b, Pullback(first, (a, b)), Pullback(second, (a, b)))


def minimum(a: Array, b: Array) -> Result:
    """The smaller input receives the gradient."""
    first, second = (lambda g: g * np.less(a, b)), (lambda g: g * ~np.less(a, b))
    return _binary(np.minimum(a, b), a, b, Pullback(first, (a, b)), Pullback(second, (a, b)))


def logaddexp(a: Array, b: Array) -> Result:
    """Each input receives its share of the sum of exponentials."""
    first, second = (lambda g: g * _share(a - b)), (lambda g: g * _share(b - a))
    return _binary(np.logaddexp(a, b), a, b, Pullback(first, (a, b)), Pullback(second, (a, b)))


def _share(difference: Array) -> Array:
    return 0.5 * (1.0 + np.tanh(0.5 * difference))


def _from_output(function: Any, derivative: Callable[[Array], Array]) -> Callable[[Array], Result]:
    def rule(a: Array) -> Result:
        y = function(a)
        return Result(y, [Pullback(lambda g: g * derivative(y), (y,))])

    return rule


def _from_input(function: Any, derivative: Callable[[Array], Array]) -> Callable[[Array], Result]:
    return lambda a: Result(function(a), [Pullback(lambda g: g * derivative(a), (a,))])


_UFUNCS: dict[Any, Callable[..., Result]] = {
    np.add: add,
    np.subtract: subtract,
    np.multiply: multiply,
    np.true_divide: divide,
    np.power: power,
    np.maximum: maximum,
    np.minimum: minimum,
    np.logaddexp: logaddexp,
    np.negative: lambda a: Result(-a, [Pullback(lambda g: -g)]),
    np.absolute: _from_input(np.absolute, np.sign),
    np.exp: _from_output(np.exp, lambda y: y),
    np.tanh: _from_output(np.tanh, lambda y: 1 - y * y),
    np.sqrt: _from_output(np.sqrt, lambda y: 0.5 / y),
    np.sin: _from_input(np.sin, np.cos),
    np.cos: _from_input(np.cos, lambda a: -np.sin(a)),
    np.log: _from_input(np.log, lambda a: 1 / a),
    np.arccos: _from_input(np.arccos, lambda a: -1 / np.sqrt(1 - a * a)),
    erf_of: _from_input(erf_of, lambda a: 2 / np.sqrt(np.pi) * np.exp(-a * a)),
}


def einsum(spec: str, a: Array, b: Array) -> Result:
    """Each factor receives the gradient contracted with the other factor."""
    left, output = spec.split("->")
    first, second = left.split(",")
    return Result(
        np.einsum(spec, a, b, order="C"),
        [
            Pullback(lambda g: np.einsum(f"{output},{second}->{first}", g, b), (b,)),
            Pullback(lambda g: np.einsum(f"{output},{first}->{second}", g, a), (a,)),
        ],
        makes_activation=True,
    )


def take(a: Array, index: Any) -> Result:
    """Elements taken more than once receive the sum of the gradients."""

    def back(g: Array) -> Array:
        whole = np.zeros_like(g, shape=a.shape)
        np.add.at(whole, index, g)
        return whole

    parts = index if isinstance(index, tuple) else (index,)
    return Result(a[index], [Pullback(back)], makes_activation=any(isinstance(part, np.ndarray) for part in parts))


def reshape(a: Array, shape: Any) -> Result:
    """The gradient returns to the old shape."""
    old = a.shape
    return Result(a.reshape(*shape), [Pullback(lambda g: g.reshape(old))], is_view=True)


def astype(a: Array, dtype: Any) -> Result:
    """The gradient passes unchanged."""
    return Result(a.astype(dtype), [Pullback(lambda g: g)], is_view=True)


def transpose(a: Array, axes: Any) -> Result:
    """The gradient returns to the old order of dimensions."""
    return Result(np.transpose(a, axes), [Pullback(lambda g: np.transpose(g, np.argsort(axes)))], is_view=True)


def total(a: Array, axis: Any = None, keepdims: bool = False) -> Result:
    """Every element receives the gradient of its sum."""
    shape = a.shape
    return Result(np.sum(a, axis=axis, keepdims=keepdims), [Pullback(lambda g: _spread(g, shape, axis, keepdims))])


def mean(a: Array, axis: Any = None, keepdims: bool = False) -> Result:
    """Every element receives the gradient of its mean, divided by the number of elements."""
    y, shape = np.mean(a, axis=axis, keepdims=keepdims), a.shape
    share = y.size / a.size
    return Result(y, [Pullback(lambda g: _spread(g, shape, axis, keepdims) * share)])


def largest(a: Array, axis: Any = None, keepdims: bool = False) -> Result:
    """The maximum receives the gradient; equal elements share it."""

    def back(g: Array) -> Array:
        chosen = a == np.max(a, axis=axis, keepdims=True)
        return _spread(g, a.shape, axis, keepdims) * chosen / np.sum(chosen, axis=axis, keepdims=True)

    return Result(np.max(a, axis=axis, keepdims=keepdims), [Pullback(back, (a,))])


def _spread(g: Array, shape: tuple[int, ...], axis: Any, keepdims: bool) -> Array:
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, shape)


def cumsum(a: Array, axis: int) -> Result:
    """Every element receives the gradients of all later sums."""
    return Result(np.cumsum(a, axis=axis), [Pullback(lambda g: np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis))])


def where(condition: Array, a: Array, b: Array) -> Result:
    """The selected input receives the gradient."""
    first, second = (lambda g: np.where(condition, g, 0.0)), (lambda g: np.where(condition, 0.0, g))
    return _binary(np.where(condition, a, b), a, b, Pullback(first), Pullback(second))


def clip(a: Array, low: float, high: float | None) -> Result:
    """Elements that were not clipped receive the gradient."""
    most = np.inf if high is None else high
    return Result(np.clip(a, low, high), [Pullback(lambda g: g * ((a >= low) & (a <= most)), (a,))])


def repeat(a: Array, times: int, axis: int) -> Result:
    """The gradients of the copies add up."""
    folded = (*a.shape[: axis + 1], times, *a.shape[axis + 1 :])
    return Result(np.repeat(a, times, axis=axis), [Pullback(lambda g: np.sum(g.reshape(folded), axis=axis + 1))])


def concatenate(parts: list[Array], axis: int = 0) -> Result:
    """Each part receives its slice of the gradient."""
    ends = np.cumsum([part.shape[axis] for part in parts])

    def piece(number: int) -> Pullback:
        start = 0 if number == 0 else int(ends[number - 1])
        return Pullback(lambda g: g[(slice(None),) * (axis % g.ndim) + (slice(start, int(ends[number])),)])

    return Result(np.concatenate(parts, axis=axis), [piece(number) for number in range(len(parts))])


def stack(parts: list[Array], axis: int = 0) -> Result:
    """Each part receives its index of the gradient."""

    def layer(number: int) -> Pullback:
        return Pullback(lambda g: g[(slice(None),) * (axis % g.ndim) + (number,)])

    return Result(np.stack(parts, axis=axis), [layer(number) for number in range(len(parts))])


def fft(a: Array, n: int, axis: int) -> Result:
    """The adjoint of a Fourier transform is its inverse without the factor 1/n."""
    length, is_real = a.shape[axis], not np.iscomplexobj(a)

    def back(g: Array) -> Array:
        whole = np.fft.ifft(g, axis=axis) * n
        piece = whole[(slice(None),) * axis + (slice(0, length),)]
        return np.real(piece) if is_real else piece

    return Result(np.fft.fft(a, n, axis=axis), [Pullback(back)])


def ifft(a: Array, axis: int) -> Result:
    """The adjoint of the inverse transform is the transform divided by n."""
    n = a.shape[axis]
    return Result(np.fft.ifft(a, axis=axis), [Pullback(lambda g: np.fft.fft(g, axis=axis) / n)])


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
    np.real: lambda a: Result(np.real(a), [Pullback(lambda g: g)]),
}
OF_LISTS = frozenset({np.concatenate, np.stack})
FIRST = {np.einsum: 1, np.where: 1}  # position of the first argument with a gradient


def ufunc_rule(ufunc: Any) -> Callable[..., Result]:
    """The derivative rule of an elementwise function."""
    return _lookup(_UFUNCS, ufunc)


def function_rule(function: Any) -> Callable[..., Result]:
    """The derivative rule of a function of whole arrays."""
    return _lookup(_FUNCTIONS, function)


def _lookup(rules: dict[Any, Callable[..., Result]], operation: Any) -> Callable[..., Result]:
    if operation not in rules:
        raise NotImplementedError(f"the tape has no derivative of {operation.__name__}")
    return rules[operation]
