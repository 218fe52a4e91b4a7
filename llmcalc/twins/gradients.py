"""Outputs and vector-Jacobian products (VJPs) of the NumPy operations that layers use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.record import NamedTuple
from . import functions
from .weights import Array

Vjp = Callable[[Array], Array]  # from the gradient of the output to the gradient of an input


class Pullback(NamedTuple):
    """The VJP for one input, with the arrays it needs from the forward pass."""

    vjp: Vjp
    residuals: tuple[Any, ...] = ()


class Result(NamedTuple):
    """An operation's output, with one pullback per input.

    Attributes:
        is_view: whether the output contains the first input's elements in another shape, order or data type.
        makes_activation: whether the output is an activation even if all inputs are weights, as in a lookup.
    """

    value: Array
    pullbacks: Sequence[Pullback]
    is_view: bool = False
    makes_activation: bool = False


def sum_to_shape(gradient: Array, given: Any) -> Array:
    """Sum a gradient over broadcast dimensions to restore the shape of the input ``given``."""
    shape = np.shape(given)
    extra = gradient.ndim - len(shape)
    gradient = np.sum(gradient, axis=tuple(range(extra))) if extra else gradient
    repeated = tuple(axis for axis, size in enumerate(shape) if size == 1 and gradient.shape[axis] != 1)
    return np.sum(gradient, axis=repeated, keepdims=True) if repeated else gradient


def _binary(
    value: Array, a: Array, b: Array, first: Vjp, second: Vjp, saved: tuple[tuple[Array, ...], ...] = ((), ())
) -> Result:
    """Return the result of a function of two broadcastable inputs, given the arrays that each VJP saves."""
    to_a, to_b = (lambda g: sum_to_shape(first(g), a)), (lambda g: sum_to_shape(second(g), b))
    return Result(value, [Pullback(to_a, saved[0]), Pullback(to_b, saved[1])])


def _shared(function: Any, share_of_a: Any, share_of_b: Any) -> Callable[[Array, Array], Result]:
    """Return a function of two inputs, with VJPs that scale the gradient by each input's share of the result."""

    def rule(a: Array, b: Array) -> Result:
        first, second = (lambda g: g * share_of_a(a, b)), (lambda g: g * share_of_b(a, b))
        return _binary(function(a, b), a, b, first, second, ((a, b), (a, b)))

    return rule


def _from_output(function: Any, derivative: Callable[[Array], Array]) -> Callable[[Array], Result]:
    def rule(a: Array) -> Result:
        y = function(a)
        return Result(y, [Pullback(lambda g: g * derivative(y), (y,))])

    return rule


def _from_input(function: Any, derivative: Callable[[Array], Array]) -> Callable[[Array], Result]:
    return lambda a: Result(function(a), [Pullback(lambda g: g * derivative(a), (a,))])


_UFUNCS: dict[Any, Callable[..., Result]] = {
    np.add: lambda a, b: _binary(a + b, a, b, lambda g: g, lambda g: g),
    np.subtract: lambda a, b: _binary(a - b, a, b, lambda g: g, lambda g: -g),
    np.multiply: lambda a, b: _binary(a * b, a, b, lambda g: g * np.conj(b), lambda g: g * np.conj(a), ((b,), (a,))),
    np.true_divide: lambda a, b: _binary(a / b, a, b, lambda g: g / b, lambda g: -g * a / (b * b), ((b,), (a, b))),
    np.power: lambda a, n: Result(a**n, [Pullback(lambda g: g * n * a ** (n - 1), (a,)), Pullback(lambda g: g)]),
    np.maximum: _shared(np.maximum, np.greater, np.less_equal),
    np.minimum: _shared(np.minimum, np.less, np.greater_equal),
    np.logaddexp: _shared(np.logaddexp, lambda a, b: functions.sigmoid(a - b), lambda a, b: functions.sigmoid(b - a)),
    np.negative: lambda a: Result(-a, [Pullback(lambda g: -g)]),
    np.absolute: _from_input(np.absolute, np.sign),
    np.exp: _from_output(np.exp, lambda y: y),
    np.tanh: _from_output(np.tanh, lambda y: 1 - y * y),
    np.sqrt: _from_output(np.sqrt, lambda y: 0.5 / y),
    np.sin: _from_input(np.sin, np.cos),
    np.cos: _from_input(np.cos, lambda a: -np.sin(a)),
    np.log: _from_input(np.log, lambda a: 1 / a),
    np.arccos: _from_input(np.arccos, lambda a: -1 / np.sqrt(1 - a * a)),
    functions.erf_of: _from_input(functions.erf_of, lambda a: 2 / np.sqrt(np.pi) * np.exp(-a * a)),
}


def einsum(spec: str, a: Array, b: Array) -> Result:
    """Contract two arrays, with VJPs that contract the gradient with the other array."""
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
    """Index an array, with a VJP that accumulates gradients at repeated indices."""

    def back(g: Array) -> Array:
        whole = np.zeros_like(g, shape=a.shape)
        np.add.at(whole, index, g)
        return whole

    parts = index if isinstance(index, tuple) else (index,)
    return Result(a[index], [Pullback(back)], makes_activation=any(isinstance(part, np.ndarray) for part in parts))


def reshape(a: Array, shape: Any) -> Result:
    """Reshape an array, with a VJP that restores the original shape."""
    old = a.shape
    return Result(a.reshape(*shape), [Pullback(lambda g: g.reshape(old))], is_view=True)


def astype(a: Array, dtype: Any) -> Result:
    """Convert the data type, with a VJP that returns the gradient unchanged."""
    return Result(a.astype(dtype), [Pullback(lambda g: g)], is_view=True)


def transpose(a: Array, axes: Any) -> Result:
    """Permute the dimensions, with a VJP that restores the original order."""
    return Result(np.transpose(a, axes), [Pullback(lambda g: np.transpose(g, np.argsort(axes)))], is_view=True)


def total(a: Array, axis: Any = None, keepdims: Any = False) -> Result:
    """Sum over axes, with a VJP that broadcasts the gradient to the input shape."""
    shape = a.shape
    return Result(np.sum(a, axis=axis, keepdims=keepdims), [Pullback(lambda g: _spread(g, shape, axis, keepdims))])


def mean(a: Array, axis: Any = None, keepdims: Any = False) -> Result:
    """Average over axes, with a VJP that broadcasts the gradient and divides it by the number of averaged elements."""
    y, shape = np.mean(a, axis=axis, keepdims=keepdims), a.shape
    share = y.size / a.size
    return Result(y, [Pullback(lambda g: _spread(g, shape, axis, keepdims) * share)])


def largest(a: Array, axis: Any = None, keepdims: Any = False) -> Result:
    """Compute the maximum, with a VJP that divides the gradient equally among maximal elements."""

    def back(g: Array) -> Array:
        chosen = a == np.max(a, axis=axis, keepdims=True)
        return _spread(g, a.shape, axis, keepdims) * chosen / np.sum(chosen, axis=axis, keepdims=True)

    return Result(np.max(a, axis=axis, keepdims=keepdims), [Pullback(back, (a,))])


def _spread(g: Array, shape: tuple[int, ...], axis: Any, keepdims: bool) -> Array:
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, shape)


def cumsum(a: Array, axis: int) -> Result:
    """Compute the cumulative sum, with a VJP that computes the reversed cumulative sum of the gradient."""
    return Result(np.cumsum(a, axis=axis), [Pullback(lambda g: np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis))])


def where(condition: Array, a: Array, b: Array) -> Result:
    """Select elements by a condition, with VJPs that pass the gradient only to the selected elements."""
    first, second = (lambda g: np.where(condition, g, 0.0)), (lambda g: np.where(condition, 0.0, g))
    return _binary(np.where(condition, a, b), a, b, first, second)


def clip(a: Array, low: float, high: float | None) -> Result:
    """Clip an array, with a VJP that is 0 for clipped elements."""
    most = np.inf if high is None else high
    return Result(np.clip(a, low, most), [Pullback(lambda g: g * ((a >= low) & (a <= most)), (a,))])


def repeat(a: Array, times: int, axis: int) -> Result:
    """Repeat elements, with a VJP that sums the gradients of the repetitions."""
    folded = (*a.shape[: axis + 1], times, *a.shape[axis + 1 :])
    return Result(np.repeat(a, times, axis=axis), [Pullback(lambda g: np.sum(g.reshape(folded), axis=axis + 1))])


def concatenate(parts: list[Array], axis: int = 0) -> Result:
    """Concatenate arrays, with VJPs that slice the gradient."""
    ends = np.cumsum([part.shape[axis] for part in parts])

    pieces = [slice(int(end) - part.shape[axis], int(end)) for end, part in zip(ends, parts, strict=True)]
    return Result(np.concatenate(parts, axis=axis), [_along(axis, piece) for piece in pieces])


def stack(parts: list[Array], axis: int = 0) -> Result:
    """Stack arrays, with VJPs that index the gradient."""
    return Result(np.stack(parts, axis=axis), [_along(axis, number) for number in range(len(parts))])


def _along(axis: int, index: Any) -> Pullback:
    """Return a pullback that indexes the gradient along an axis."""
    return Pullback(lambda g: g[(slice(None),) * (axis % g.ndim) + (index,)])


def fft(a: Array, n: int, axis: int) -> Result:
    """Compute the Fourier transform, with a VJP that multiplies the inverse transform by the transform length."""
    length, is_real = a.shape[axis], not np.iscomplexobj(a)

    def back(g: Array) -> Array:
        whole = np.fft.ifft(g, axis=axis) * n
        piece = whole[(slice(None),) * axis + (slice(0, length),)]
        return np.real(piece) if is_real else piece

    return Result(np.fft.fft(a, n, axis=axis), [Pullback(back)])


def ifft(a: Array, axis: int) -> Result:
    """Compute the inverse Fourier transform, with a VJP that divides the forward transform by the transform length."""
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


def softcap(x: Array, bound: float) -> Result:
    """Compute the soft cap, saving the output for the backward pass."""
    y = functions.softcap(x, bound)
    return Result(y, [Pullback(lambda g: g * (1.0 - (y / bound) ** 2), (y,)), Pullback(lambda g: g)])


def softmax(x: Array, sink: Array | None = None) -> Result:
    """Compute the softmax, saving the output for the backward pass. A sink gets the remaining probability."""
    y = functions.softmax(x, sink)

    def to_x(g: Array) -> Array:
        return y * (g - np.sum(g * y, axis=-1, keepdims=True))

    def to_sink(g: Array) -> Array:
        sink_share = 1.0 - np.sum(y, axis=-1, keepdims=True)
        return sum_to_shape(-sink_share * np.sum(g * y, axis=-1, keepdims=True), sink)

    return Result(y, [Pullback(to_x, (y,)), Pullback(to_sink, (y,))])


def collision(x: Array, bits: int) -> Result:
    """Compute the collision probability, saving the output for the backward pass."""
    y = functions.collision(x, bits)

    def back(g: Array) -> Array:
        one = y ** (1 / bits)  # probability that one hyperplane does not separate the two vectors
        return g * bits * y / one / (np.pi * np.sin(np.pi * (1 - one)))

    return Result(y, [Pullback(back, (y,)), Pullback(lambda g: g)])


def shift(x: Array, last: Array) -> Result:
    """Shift an array by one token, with a VJP that shifts the gradient back."""
    to_x = Pullback(lambda g: np.concatenate([g[:, 1:], np.zeros(last[:, None].shape)], axis=1))
    return Result(functions.shift(x, last), [to_x, Pullback(lambda g: g[:, 0])], is_view=True)


def log_softmax(x: Array) -> Result:
    """Compute the log-softmax, saving the output for the backward pass."""
    y = functions.log_softmax(x)
    return Result(y, [Pullback(lambda g: g - np.exp(y) * np.sum(g, axis=-1, keepdims=True), (y,))])


def rmsnorm(x: Array, eps: float, scale: Array | None = None) -> Result:
    """Compute RMSNorm, saving the input and each row's reciprocal root mean square."""
    root = 1.0 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)
    return _norm_result(functions.rmsnorm(x, eps, scale), x, None, root, scale)


def layernorm(x: Array, eps: float, scale: Array | None = None, bias: Array | None = None) -> Result:
    """Compute LayerNorm, saving the input and each row's mean and reciprocal standard deviation."""
    center = np.mean(x, axis=-1, keepdims=True)
    root = 1.0 / np.sqrt(np.mean((x - center) ** 2, axis=-1, keepdims=True) + eps)
    return _norm_result(functions.layernorm(x, eps, scale, bias), x, center, root, scale, bias)


def _norm_result(
    value: Array, x: Array, center: Array | None, root: Array, scale: Array | None, bias: Array | None = None
) -> Result:
    """Return the result of ``(x - center) · root · scale + bias``, where center and root depend on x."""

    def inner() -> Array:
        return (x if center is None else x - center) * root

    def to_x(g: Array) -> Array:
        y = inner()
        h = g if scale is None else g * scale
        h_mean = 0.0 if center is None else np.mean(h, axis=-1, keepdims=True)
        return root * (h - h_mean - y * np.mean(h * y, axis=-1, keepdims=True))

    rows = (root,) if center is None else (center, root)
    pullbacks = [Pullback(to_x, (x, *rows, scale)), Pullback(lambda g: g)]
    pullbacks += [Pullback(lambda g: sum_to_shape(g * inner(), scale), (x, *rows))]
    return Result(value, [*pullbacks, Pullback(lambda g: sum_to_shape(g, bias))])


# functions of ``functions.py``, by name, that save less than their individual steps would
NAMED: dict[str, Callable[..., Result]] = {
    "sigmoid": _from_output(functions.sigmoid, lambda y: y * (1.0 - y)),
    "relu": _from_output(functions.relu, lambda y: y > 0),  # 0 where no gradient flows
    **{rule.__name__: rule for rule in (softcap, softmax, collision, shift, log_softmax, rmsnorm, layernorm)},
}


def rule_of(function: Any) -> Callable[..., Result]:
    """Return the rule that computes the output and pullbacks of a NumPy function."""
    rules = _UFUNCS if isinstance(function, np.ufunc) else _FUNCTIONS
    if function not in rules:
        raise NotImplementedError(f"the tape has no derivative rule for {function.__name__}")
    return rules[function]
