"""Tensors whose elements move to other axes, such as heads that are combined in pairs.

A divided tensor is gathered where a rank needs elements of other ranks. If each rank needs other elements of a
replicated tensor, the gradients on the ranks are parts of the gradient, which are gathered instead of added.
"""

from __future__ import annotations

from ...core.equation import Equation, Operand
from ..collectives import ALL_GATHER, BACKWARD, FORWARD
from ..sharding import TENSOR_DIVISIONS
from .declaration_scope import DeclarationScope


def gather_divided(scope: DeclarationScope, operand: Operand, equation: Equation) -> None:
    """Record that a divided operand is gathered, because the result is whole or a concatenation in another order."""
    version, result = scope.versions.get(operand.name), equation.out.axes
    if version is None or version.partial or "b" not in scope.axes_of(operand) or not _moves(scope, equation):
        return
    if (ranks := scope.shards(version.axes)) == 1:
        return
    divided = {axis for axis in version.axes if scope.shards((axis,)) > 1}
    is_joined = equation.function == "copy" and len(equation.operands) > 1 and not divided & {*result}
    if (is_joined or scope.shards(result) == 1) and scope.is_first("moved", operand.name, version):
        scope.add(ALL_GATHER, ("tp", ranks), operand.name, FORWARD, version.axes)
        if is_joined:
            scope.add(ALL_GATHER, ("tp", ranks), f"d{operand.name}", BACKWARD, version.axes)


def is_separate(scope: DeclarationScope, axes: tuple[str, ...], equation: Equation) -> bool:
    """Return whether each rank needs other elements of a replicated operand with the given axes.

    This is the case for copies to other axes, and for an axis of which each index of a divided axis selects an element.
    """
    if equation.function == "copy":
        return any(axis not in equation.out.axes and isinstance(scope.place.extent(axis), int) for axis in axes)
    return any(inner in axes and scope.shards((outer,)) > 1 for inner, outer in equation.select if equation.function)


def _moves(scope: DeclarationScope, equation: Equation) -> bool:
    """Return whether an element of the result depends on one element of each operand, or on a row without division."""
    if equation.function in (None, "gather"):
        return False
    return not any(scope.declaration.division(axis) in TENSOR_DIVISIONS for axis in equation.contracted)
