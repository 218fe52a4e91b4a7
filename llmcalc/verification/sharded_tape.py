"""Automatic differentiation of operations on arrays that are divided over simulated ranks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..twins import gradients
from ..twins.tape import Tape, Variable
from ..twins.weights import Array
from .ranks import Ranks
from .row_owners import routed, scattered, with_all_rows
from .sharded_array import EVERY, ShardedArray
from .sharded_weights import ShardedWeights, Unit


class ShardedTape(Tape):
    """Operations on arrays that are divided over ranks.

    Before a gradient is used, it is divided as the variable is. A variable that is whole on every rank has a whole
    gradient on every rank. Each sub-layer completes the gradients of its inputs: the column-parallel matrices of
    Megatron-LM reduce them in their backward pass, also if several sub-layers read the same tensor.
    """

    def __init__(self, ranks: Ranks, weights: ShardedWeights | None = None) -> None:
        super().__init__()
        self.ranks, self.weights = ranks, weights
        self._units: dict[int, Unit] = {}  # use of a block that has computed each variable
        self.sums: dict[int, frozenset[str]] = {}  # axes along which all ranks need the gradients of partial sums
        self._scopes: dict[int, object] = {}  # sub-layer that has computed each variable
        self._inputs: dict[tuple[int, object, bool], Variable] = {}  # copies of the inputs of each sub-layer
        self._only_ring: set[int] = set()  # copies for which no matrix completes the gradient

    def call(self, function: Any, inputs: tuple[Any, ...]) -> Any:
        """Record a function. Functions without their own derivative are recorded operation by operation."""
        return super().call(function, inputs) if function.__name__ in gradients.NAMED else function(*inputs)

    def record(self, result: gradients.Result, inputs: tuple[Any, ...]) -> Variable:
        """Add an operation to the tape."""
        has_matrix = any(isinstance(each, Variable) and _is_matrix(each.value) for each in inputs)
        inputs = tuple(self._input(each, has_matrix) if isinstance(each, Variable) else each for each in inputs)
        output = super().record(result, inputs)
        self._scopes[id(output)] = self.ranks.scope
        if self.weights:
            self._units[id(output)] = self.weights.unit
        operands = [parent.value for parent, _ in output.pullbacks if isinstance(parent.value, ShardedArray)]
        if isinstance(output.value, ShardedArray) and _needs_whole_gradient(output.value, operands):
            self.sums[id(output)] = output.value.partial
        output.pullbacks = [(parent, _to_terms(vjp, parent.value, output.value)) for parent, vjp in output.pullbacks]
        return output

    def _input(self, variable: Variable, has_matrix: bool) -> Variable:
        """Return a variable, or its copy in the current sub-layer if an earlier sub-layer has computed the variable.

        The sub-layer completes the gradient of the copy at a matrix, and otherwise only adds the terms of ranks with
        other tokens, such as those of keys in a ring.
        """
        scope, value = self.ranks.scope, variable.value
        is_in_ring = isinstance(value, ShardedArray) and not value.is_weight and any(self._rings(value))
        if self._scopes.get(id(variable), scope) == scope or not (has_matrix or is_in_ring):
            return variable
        key = id(variable), scope, has_matrix
        if key not in self._inputs:
            copied = gradients.Result(value, [gradients.Pullback(lambda gradient: gradient)])
            copy = self._inputs[key] = super().record(copied, (variable,))
            self._scopes[id(copy)] = scope
            self._only_ring |= set() if has_matrix else {id(copy)}
        return self._inputs[key]

    def _rings(self, value: ShardedArray) -> list[str]:
        """Return the axes of a divided array along which ranks have other tokens of the same sequences."""
        return [axis for axis in value.splits if self.ranks.groups[axis] == "cp"]

    def complete_gradient(self, node: Variable) -> Array:
        """Divide the gradient of a variable as the variable is divided."""
        self.ranks.scope = self._scopes.get(id(node))
        if self.weights and id(node) in self._units:
            self.weights.enter(self._units[id(node)])
        gradient, value = node.gradient, node.value
        if not (isinstance(value, ShardedArray) and isinstance(gradient, ShardedArray)):
            return gradient
        if id(node) in self._only_ring:
            rings = [axis for axis in self._rings(value) if axis in gradient.partial]
            return gradient.scatter({axis: value.splits[axis] for axis in rings})
        ranks, terms = value.ranks, self.sums.get(id(node), frozenset())
        gradient = gradient.gathered(terms)
        gradient = gradient.gathered([a for a, dim in value.splits.items() if gradient.splits.get(a, dim) != dim])
        is_gathered_weight = self.weights is not None and node in self.weights
        if value.is_weight and (is_gathered_weight or not node.pullbacks):
            gradient.owners = {
                a: np.where(owner < 0, owner, owner % ranks.sizes[a]) for a, owner in gradient.owners.items()
            }
        gradient = _with_rows_of(value, gradient, terms)
        spread = gradient.owners.keys() - value.owners.keys() - value.partial
        gradient = gradient.as_terms(axis for axis in spread if ranks.groups[axis] == "cp")
        is_gathered = value.has_token_rows and not value.splits
        if node.pullbacks and (value.is_weight or value.is_moved or is_gathered):
            return gradient  # reduced once, for the stored weight or for the array from which the elements come
        return _reduced(value, gradient.as_terms(spread), terms)


def _with_rows_of(value: ShardedArray, gradient: ShardedArray, terms: frozenset[str]) -> ShardedArray:
    """Return the gradient with its rows on the ranks that have the rows of the variable, or along ``terms`` on all."""
    ranks = value.ranks
    for axis in gradient.partial & value.owners.keys() if ranks.experts else ():
        gradient = scattered(gradient, axis, value.owners[axis])
    axes = value.owners.keys() | (gradient.owners.keys() & value.splits.keys())
    wanted = {axis: (gradient.owner_of(axis), value.owner_of(axis)) for axis in axes}
    gradient = routed(gradient, {axis: np.where(own == EVERY, had, own) for axis, (had, own) in wanted.items()})
    for axis in gradient.owners.keys() & set(ranks.share_of_tokens):
        if not (axis in value.owners or axis in value.splits or axis in value.partial):
            gradient = with_all_rows(gradient.reduce(gradient.partial), axis)
    gradient = gradient if value.owners else gradient.settled()
    for axis in terms & gradient.owners.keys():
        gradient = with_all_rows(gradient, axis)
    return gradient


def _reduced(value: ShardedArray, gradient: ShardedArray, terms: frozenset[str]) -> ShardedArray:
    """Return the sum of the terms of a gradient, divided as the variable is, except along ``terms``."""
    ranks = value.ranks
    for axes in ranks.by_group(gradient.partial & value.splits.keys()):
        gradient.scatter({axis: value.splits[axis] for axis in axes})
    own_groups = {ranks.groups[axis] for axis in value.splits}  # copies of a key head add up in its weights
    gradient.reduce(axis for axis in gradient.partial if ranks.groups[axis] not in own_groups)
    wanted = {axis: dim for axis, dim in value.splits.items() if axis not in terms}
    return gradient.narrowed({axis: dim for axis, dim in wanted.items() if axis not in gradient.splits})


def _needs_whole_gradient(total: ShardedArray, operands: list[ShardedArray]) -> bool:
    """Return whether all ranks need the gradient of a result: of the first partial sum, of one that an activation
    scales, and of the rows of an expert. Other sums pass their gradient on.
    """
    is_first = bool(total.partial.difference(*(each.partial for each in operands)))
    is_scaled = any(not (each.partial or each.is_weight) and each.size < total.size for each in operands)
    has_one_owner = total.ndim == 2 and any(np.ptp(owner) == 0 for owner in total.owners.values())
    return is_first or ((is_scaled or has_one_owner) and bool(total.partial))


def _is_matrix(value: Any) -> bool:
    return isinstance(value, ShardedArray) and value.is_weight and value.ndim > 1


def _to_terms(vjp: gradients.Vjp, term: Any, total: Any) -> gradients.Vjp:
    """Return a VJP that gathers the gradient of a total before it is copied to partial terms, such as experts."""
    is_term = isinstance(term, ShardedArray) and term.partial and term.ndim > total.ndim
    return (lambda gradient: vjp(gradient.gathered(term.partial))) if is_term else vjp
