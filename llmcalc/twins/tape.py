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

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from . import derivatives, gradients
from .kept import Kept
from .weights import Array


class Tape:
    """The operations of one forward pass, in order.

    Attributes:
        copies: results that are another result's numbers in another shape.
    """

    def __init__(self) -> None:
        self.nodes: list[Variable] = []
        self.copies: list[tuple[Array, Array]] = []

    def variable(self, value: Array) -> Variable:
        """A leaf: an array whose gradient is wanted."""
        return Variable(value, self)

    def data(self, value: Array) -> Variable:
        """A leaf that was made elsewhere, for this pass alone: no gradient flows to it, but others' may need it."""
        return Variable(value, self, made=True, given=True)

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
        parents = [parent for parent in inputs if isinstance(parent, Variable)]
        made, given = result.makes or any(parent.made for parent in parents), all(parent.given for parent in parents)
        output = Variable(result.value, self, made, given)
        pairs = zip(inputs, result.ways[: len(inputs)], strict=True)
        ways = [pair for pair in pairs if isinstance(pair[0], Variable) and not pair[0].given]
        output.back = [(parent, way.vjp) for parent, way in ways]
        if output.made:
            there = {id(_value(given)) for given in inputs if not (isinstance(given, Variable) and given.made)}
            output.needs = [array for _, way in ways for array in way.needs if id(array) not in there]
        if result.same:
            self.copies.append((result.value, parents[0].value))
        self.nodes.append(output)
        return output

    def kept_for(self, loss: Variable) -> Kept:
        """The activations that the backward pass of ``loss`` needs.

        Weights are there anyway, and so are constants, and what is made of them element by element.
        """
        kept, reached = Kept(), {id(loss)}
        for copy, original in self.copies:
            kept.same(copy, original)
        for node in reversed(self.nodes):
            if id(node) in reached:
                reached |= {id(parent) for parent, _ in node.back}
                for array in node.needs:
                    kept.add(array)
        return kept

    def call(self, function: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
        """One of the functions that have a derivative of their own, or that are computed again for it."""
        rule = derivatives.RULES.get(function.__name__)
        values = tuple(map(_value, inputs))
        if rule is not None:
            return self.record(rule(*values), inputs)
        results = function(*values)
        if not isinstance(results, tuple):
            return self.record(_computed_again(function, results, inputs), inputs)
        together = self.record(_computed_again(_in_a_row(function), _row(results), inputs), inputs)
        ends = np.cumsum([result.size for result in results])
        return tuple(
            together[end - result.size : end].reshape(result.shape) for end, result in zip(ends, results, strict=True)
        )

    def backward(self, loss: Variable, gradient: Array | None = None) -> None:
        """Give every variable that ``loss`` depends on its ``gradient``; that of ``loss`` itself is 1 if not given."""
        loss.gradient = np.ones_like(loss.value) if gradient is None else gradient
        for node in reversed(self.nodes):
            if node.gradient is None:
                continue
            for parent, vjp in node.back:
                flowing = vjp(node.gradient)
                parent.gradient = flowing if parent.gradient is None else parent.gradient + flowing


def _in_a_row(function: Callable[..., tuple[Array, ...]]) -> Callable[..., Array]:
    return lambda *inputs: _row(function(*inputs))


def _row(results: tuple[Array, ...]) -> Array:
    """Several results as one vector."""
    return np.concatenate([result.reshape(-1) for result in results])


def _computed_again(function: Callable[..., Array], value: Array, given: tuple[Any, ...]) -> gradients.Result:
    """A function that keeps its inputs alone: the backward pass runs it once more, on a tape of its own."""
    last: list[Any] = [None, ()]

    def flowing(number: int) -> gradients.Vjp:
        def back(g: Array) -> Array:
            if last[0] is not g:
                tape = Tape()
                inputs = [_again(tape, value) for value in given]
                tape.backward(function(*inputs), g)
                last[:] = [g, inputs]
            return last[1][number].gradient

        return back

    values = tuple(map(_value, given))
    return gradients.Result(value, [gradients.Way(flowing(number), values) for number in range(len(given))])


def _again(tape: Tape, value: Any) -> Any:
    """An input of a function that is computed again, on another tape."""
    if not isinstance(value, Variable):
        return value
    return tape.data(np.asarray(value.value)) if value.given else tape.variable(np.asarray(value.value))


class Variable(NDArrayOperatorsMixin):
    """An array on a tape. It behaves like one wherever the layers use it.

    Attributes:
        made: it is no weight, and not made of weights element by element.
        given: it is data, or made of data alone: no gradient flows to it.
        needs: what its derivative needs of what was made.
    """

    def __init__(self, value: Array, tape: Tape, made: bool = False, given: bool = False) -> None:
        self.value, self.tape, self.made, self.given = value, tape, made, given
        self.needs: list[Array] = []
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
        differentiable = inputs[gradients.FIRST.get(function, 0) :][: len(result.ways)]
        return self.tape.record(result, tuple(differentiable))


def _value(given: Any) -> Any:
    return given.value if isinstance(given, Variable) else given
