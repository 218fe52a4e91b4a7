"""Reverse-mode automatic differentiation for NumPy.

A ``Tape`` records the operations on ``Variable`` arrays. NumPy dispatches them through ``__array_ufunc__`` and
``__array_function__``, so the layers run unchanged. ``gradients.py`` defines the derivatives.

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
from numpy.lib.stride_tricks import as_strided

from . import gradients
from .weights import Array


class Tape:
    """Operations of one forward pass, in execution order.

    Attributes:
        nodes: outputs of the operations.
        views: pairs of views and their original arrays.
    """

    def __init__(self) -> None:
        self.nodes: list[Variable] = []
        self.views: list[tuple[Array, Array]] = []

    def variable(self, value: Array) -> Variable:
        """Return a leaf variable that receives a gradient."""
        return Variable(value, self)

    def data(self, value: Array) -> Variable:
        """Return a leaf variable that holds data, such as pixels, and receives no gradient."""
        return Variable(value, self, is_activation=True, is_constant=True)

    @contextmanager
    def parameters_of(self, model: Any) -> Iterator[dict[str, Variable]]:
        """Replace a model's parameters with variables inside a ``with`` block."""
        plain = dict(model.tensors)
        variables = {name: self.variable(array) for name, array in model.parameters.items()}
        model.tensors.update(variables)
        try:
            yield variables
        finally:
            model.tensors.update(plain)

    def record(self, result: gradients.Result, inputs: tuple[Any, ...]) -> Variable:
        """Add an operation's output and pullbacks to the tape."""
        parents = [parent for parent in inputs if isinstance(parent, Variable)]
        is_activation = result.makes_activation or any(parent.is_activation for parent in parents)
        output = Variable(result.value, self, is_activation, all(parent.is_constant for parent in parents))
        pairs = zip(inputs, result.pullbacks[: len(inputs)], strict=True)
        pullbacks = [pair for pair in pairs if isinstance(pair[0], Variable) and not pair[0].is_constant]
        output.pullbacks = [(parent, pullback.vjp) for parent, pullback in pullbacks]
        if is_activation:
            weights = {id(_value(item)) for item in inputs if not (isinstance(item, Variable) and item.is_activation)}
            output.residuals = [
                array for _, pullback in pullbacks for array in pullback.residuals if id(array) not in weights
            ]
        if result.is_view:
            self.views.append((result.value, parents[0].value))
        self.nodes.append(output)
        return output

    def saved_activations(self, loss: Variable) -> MemoryLedger:
        """Return the activations that the backward pass of ``loss`` needs.

        Weights, constants and elementwise functions of weights are not counted.
        """
        saved, reached = MemoryLedger(), {id(loss)}
        for view, original in self.views:
            saved.alias(view, original)
        for node in reversed(self.nodes):
            if id(node) in reached:
                reached |= {id(parent) for parent, _ in node.pullbacks}
                for array in node.residuals:
                    saved.add(array)
        return saved

    def call(self, function: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
        """Record a function as one operation. The backward pass uses a custom VJP or recomputes the function."""
        rule = gradients.NAMED.get(function.__name__)
        values = tuple(map(_value, inputs))
        if rule is not None:
            return self.record(rule(*values), inputs)
        results = function(*values)
        if not isinstance(results, tuple):
            return self.record(_recomputed(function, results, inputs), inputs)
        together = self.record(
            _recomputed(lambda *items: _flatten(function(*items)), _flatten(results), inputs), inputs
        )
        ends = np.cumsum([result.size for result in results])
        return tuple(
            together[end - result.size : end].reshape(result.shape) for end, result in zip(ends, results, strict=True)
        )

    def backward(self, loss: Variable, gradient: Array | None = None) -> None:
        """Backpropagate from ``loss`` and set each variable's ``gradient``. The gradient of ``loss`` defaults to 1."""
        loss.gradient = np.ones_like(loss.value) if gradient is None else gradient
        for node in reversed(self.nodes):
            if node.gradient is None:
                continue
            gradient = self.complete_gradient(node)
            for parent, vjp in node.pullbacks:
                term = vjp(gradient)
                parent.gradient = term if parent.gradient is None else parent.gradient + term

    def complete_gradient(self, node: Variable) -> Array:
        """Return the gradient of a variable to which all uses of the variable have contributed."""
        return node.gradient


def _flatten(results: tuple[Array, ...]) -> Array:
    """Flatten several outputs and concatenate them into one vector."""
    return np.concatenate([result.reshape(-1) for result in results])


def _recomputed(function: Callable[..., Array], value: Array, inputs: tuple[Any, ...]) -> gradients.Result:
    """Return a function's result, with VJPs that save only the inputs and recompute the function."""
    last: list[Any] = [None, ()]  # one run serves all inputs

    def gradient_of(number: int) -> gradients.Vjp:
        def back(g: Array) -> Array:
            if last[0] is not g:
                tape = Tape()
                leaves = [_leaf(tape, item) for item in inputs]
                tape.backward(function(*leaves), g)
                last[:] = [g, leaves]
            return last[1][number].gradient

        return back

    values = tuple(map(_value, inputs))
    return gradients.Result(value, [gradients.Pullback(gradient_of(number), values) for number in range(len(inputs))])


def _leaf(tape: Tape, item: Any) -> Any:
    """Convert an input of a recomputed function to a leaf of another tape."""
    constant = isinstance(item, Variable) and item.is_constant
    return Variable(np.asarray(item.value), tape, constant, constant) if isinstance(item, Variable) else item


class Variable(NDArrayOperatorsMixin):
    """An array on a tape that layers can use like a NumPy array.

    Attributes:
        is_activation: whether the value depends on data, or on weights through a contraction or lookup.
        is_constant: whether the value depends only on data, so that it receives no gradient.
        residuals: activations saved for the derivative.
        pullbacks: input variables, each with a VJP that maps this variable's gradient to the input's gradient.
    """

    def __init__(self, value: Array, tape: Tape, is_activation: bool = False, is_constant: bool = False) -> None:
        self.value, self.tape, self.is_activation, self.is_constant = value, tape, is_activation, is_constant
        self.residuals: list[Array] = []
        self.gradient: Array | None = None
        self.pullbacks: list[tuple[Variable, gradients.Vjp]] = []

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return tuple(self.value.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(self.value.size)

    @property
    def dtype(self) -> Any:
        """Data type of the elements."""
        return self.value.dtype

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return np.asarray(self.value, dtype)

    def __getitem__(self, index: Any) -> Variable:
        return self.tape.record(gradients.take(self.value, index), (self,))

    def reshape(self, *shape: Any) -> Variable:
        """Return a variable with the same elements in another shape."""
        return self.tape.record(gradients.reshape(self.value, shape), (self,))

    def astype(self, dtype: Any) -> Variable:
        """Return the variable converted to another data type."""
        return self.tape.record(gradients.astype(self.value, dtype), (self,))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Variable:
        if method != "__call__" or options:
            raise NotImplementedError(f"the tape has no derivative rule for {ufunc.__name__}.{method}")
        return self.tape.record(gradients.rule_of(ufunc)(*map(_value, inputs)), inputs)

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Variable:
        rule = gradients.rule_of(function)
        if function in gradients.OF_LISTS:
            parts = tuple(inputs[0])
            return self.tape.record(rule([_value(part) for part in parts], *inputs[1:], **options), parts)
        result = rule(*map(_value, inputs), **options)
        differentiable = inputs[gradients.FIRST.get(function, 0) :][: len(result.pullbacks)]
        return self.tape.record(result, tuple(differentiable))


def _value(item: Any) -> Any:
    return item.value if isinstance(item, Variable) else item


class MemoryLedger:
    """Ledger of array elements in use, which counts elements shared by several views only once.

    Attributes:
        used: owning arrays, each with a mask of the elements in use, keyed by the owner's id.
        copies: owners of copies, each with the original array, keyed by the owner's id.

    >>> x = np.arange(12.0).reshape(3, 4)
    >>> ledger = MemoryLedger()
    >>> ledger.add(x[:, :2])
    >>> ledger.add(x[1])
    >>> ledger.sizes()
    (8,)
    """

    def __init__(self) -> None:
        self.used: dict[int, tuple[Array, Array]] = {}
        self.copies: dict[int, tuple[Array, Array]] = {}

    def add(self, array: Array) -> None:
        """Mark the elements of an array as used, ignoring 0-dimensional arrays."""
        if np.ndim(array) == 0:
            return
        whole = owner(array)
        if id(whole) in self.copies:
            self.add(self.copies[id(whole)][1])
            return
        _, mask = self.used.setdefault(id(whole), (whole, np.zeros(whole.size, bool)))
        first = (_address(array) - _address(whole)) // whole.itemsize
        as_strided(mask[first:], array.shape, [step // whole.itemsize for step in array.strides])[...] = True

    def alias(self, copy: Array, original: Array) -> None:
        """Count the elements of ``copy`` as elements of ``original``, even if ``copy`` owns its memory."""
        if owner(copy) is not owner(original):
            self.copies[id(owner(copy))] = owner(copy), original

    def sizes(self) -> tuple[int, ...]:
        """Return the number of elements in use per array, in the order in which arrays were added."""
        return tuple(int(mask.sum()) for _, mask in self.used.values())


def owner(array: Array) -> Array:
    """Return the array that owns the memory of a view."""
    while isinstance(getattr(array, "base", None), np.ndarray):
        array = array.base
    return array


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])
