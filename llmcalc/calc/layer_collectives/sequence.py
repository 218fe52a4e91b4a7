"""Exchanges between ranks with different tokens of a sequence, in context and sequence parallelism."""

from __future__ import annotations

from ...core.equation import Equation, Operand
from ...core.form import Form
from ..collectives import ALL_GATHER, BACKWARD, FORWARD, REDUCE_SCATTER
from .declaration_scope import DeclarationScope


def exchange(scope: DeclarationScope, operand: Operand, equation: Equation) -> None:
    """Record the exchange of keys, values and other tensors of which each query reads all tokens."""
    mesh, place = scope.mesh, scope.place
    if mesh.cp == 1 and not mesh.sp:
        return
    own = {axis for axis in operand.axes if axis != "b" and isinstance(place.extent(axis), Form)}
    if not own or "q" in own or "q" not in equation.out.axes or operand.name in scope.weights:
        return
    divided = max(scope.shards(operand.axes), scope.shards(equation.out.axes))
    groups = [("cp", mesh.cp), ("tp", mesh.tp if mesh.sp and divided == 1 else 1)]
    version = scope.versions.get(operand.name)
    for group in groups:
        key = "exchange", operand.name, version, group
        if group[1] > 1 and scope.is_first(FORWARD, *key):
            scope.add(ALL_GATHER, group, operand.name, FORWARD, operand.axes)
        if group[1] > 1 and "nograd" not in equation.tags and scope.is_first(BACKWARD, *key):
            scope.add(ALL_GATHER, group, f"{operand.name}, gathered again", BACKWARD, operand.axes)
            scope.add(REDUCE_SCATTER, group, f"d{operand.name}", BACKWARD, operand.axes)
