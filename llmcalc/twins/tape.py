"""Reverse-mode differentiation: a tape that records what NumPy computes, and then runs it backwards.

A ``Variable`` stands for an array in a computation. NumPy asks it (through ``__array_ufunc__`` and
``__array_function__``) to do the work, so the layers need not know of it. ``gradients.py`` has the derivative of each
operation.

>>> import numpy as np
>>> tape = Tape()
>>> x = tape.variable(np.array([1.0, 2.0, 3.0]))
>>> tape.backward(np.sum(x * x))
>>> x.gradient
array([2., 4., 6.])
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from . import gradients
from .weights import Array


class Tape:
    """The operations of one forward pass, in order.

    Attributes:
        saved: the arrays that the backward pass needs, each once, by identity; weights are not among them.
    """

    def __init__(self) -> None:
        self.nodes: list[Variable] = []
        self.saved: dict[int, Array] = {}
        self.leaves: set[int] = set()

    def variable(self, value: Array) -> Variable:
        """A leaf: an array whose gradient is wanted."""
        self.leaves.add(id(owner(value)))
        return Variable(value, self)

    @contextmanager
    def parameters_of(self, model: Any) -> Iterator[dict[str, Variable]]:
        """A model's parameters as variables, for a while."""
        plain = dict(model.tensors)
        variables = {name: self.variable(array) for name, array in model.parameters.items()}
        model.tensors.update(variables)
        try:
            yield variables
        finally:
            model.tensors.update(plain)

    def record(self, result: gradients.Result, inputs: tuple[Any, ...]) -> Variable:
        """The variable of an operation's result, with the way back to its inputs."""
        output = Variable(result.value, self)
        output.back = [
            (parent, vjp) for parent, vjp in zip(inputs, result.vjps, strict=True) if isinstance(parent, Variable)
        ]
        self.nodes.append(output)
        for array in result.saved:
            whole = owner(array)
            if id(whole) not in self.leaves:
                self.saved[id(whole)] = whole
        return output

    @property
    def saved_bytes(self) -> int:
        """Bytes kept between the forward and the backward pass."""
        return sum(int(array.nbytes) for array in self.saved.values())

    def backward(self, loss: Variable) -> None:
        """Give every variable that ``loss`` depends on its ``gradient``."""
        loss.gradient = np.ones_like(loss.value)
        for node in reversed(self.nodes):
            if node.gradient is None:
                continue
            for parent, vjp in node.back:
                flowing = vjp(node.gradient)
                parent.gradient = flowing if parent.gradient is None else parent.gradient + flowing


def owner(array: Array) -> Array:
    """The array whose memory a view looks at."""
    while isinstance(getattr(array, "base", None), np.ndarray):
        array = array.base
    return array


class Variable(NDArrayOperatorsMixin):
    """An array on a tape. It behaves like one wherever the layers use it."""

    def __init__(self, value: Array, tape: Tape) -> None:
        self.value, self.tape = value, tape
        self.gradient: Array | None = None
        self.back: list[tuple[Variable, gradients.Vjp]] = []

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the dimensions."""
        return tuple(self.value.shape)

    @property
    def size(self) -> int:
        """Numbers in it."""
        return int(self.value.size)

    @property
    def dtype(self) -> Any:
        """Number format."""
        return self.value.dtype

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return np.asarray(self.value, dtype)

    def __getitem__(self, index: Any) -> Variable:
        return self.tape.record(gradients.take(self.value, index), (self,))

    def reshape(self, *shape: Any) -> Variable:
        """The same numbers in another shape."""
        return self.tape.record(gradients.reshape(self.value, shape), (self,))

    def astype(self, dtype: Any) -> Variable:
        """The same numbers in another format."""
        return self.tape.record(gradients.astype(self.value, dtype), (self,))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Variable:
        if method != "__call__" or options:
            raise NotImplementedError(f"the tape does not know {ufunc.__name__}.{method}")
        return self.tape.record(gradients.of_ufunc(ufunc)(*map(_value, inputs)), inputs)

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Variable:
        rule = gradients.of_function(function)
        if function in gradients.OF_LISTS:
            parts = tuple(inputs[0])
            return self.tape.record(rule([_value(part) for part in parts], *inputs[1:], **options), parts)
        result = rule(*map(_value, inputs), **options)
        differentiable = inputs[gradients.FIRST.get(function, 0) :][: len(result.vjps)]
        return self.tape.record(result, tuple(differentiable))


def _value(given: Any) -> Any:
    return given.value if isinstance(given, Variable) else given
