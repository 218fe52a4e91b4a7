"""Exchanges between ranks with different tokens of a sequence, in context and sequence parallelism."""

from __future__ import annotations

from ...core.equation import Equation, Operand
from ...core.form import Form
from ..collectives import ALL_GATHER, BACKWARD, FORWARD, REDUCE_SCATTER, SEND
from .declaration_scope import DeclarationScope


def receive_halo(scope: DeclarationScope, operand: Operand, equation: Equation) -> None:
    """Record that each rank receives the rows before its tokens that a tensor contains, such as the previous token."""
    mesh, name = scope.mesh, operand.name
    group = ("tp", mesh.tp) if mesh.sp else ("cp", mesh.cp)
    if name not in scope.declaration.halos or group[1] == 1:
        return
    axes = ("b", *scope.declaration.halos[name])
    if scope.is_first(FORWARD, "halo", name):
        scope.add(SEND, group, f"halo of {name}", FORWARD, axes)
    if "nograd" not in equation.tags and scope.is_first(BACKWARD, "halo", name):
        scope.add(SEND, group, f"halo of d{name}", BACKWARD, axes)


def exchange(scope: DeclarationScope, operand: Operand, equation: Equation) -> None:
    """Record the exchange of keys, values and other tensors of which each query reads all tokens."""
    mesh = scope.mesh
    if mesh.cp == 1 and not mesh.sp:
        return
    own = {*operand.axes} - _columns(scope, operand.axes) - {"b"}
    if not own or "q" in own or "q" not in equation.out.axes or operand.name in scope.weights:
        return
    divided = max(scope.shards(operand.axes), scope.shards(equation.out.axes))
    name, version, axes = operand.name, scope.versions.get(operand.name), operand.axes
    if version and "q" not in version.axes and _columns(scope, version.axes) == _columns(scope, axes):
        axes = version.axes  # all rows, because each query selects its own
    for group in ("cp", mesh.cp), ("tp", mesh.tp if mesh.sp and divided == 1 else 1):
        key = "exchange", name, version, group
        if group[1] > 1 and scope.is_first(FORWARD, *key):
            scope.add(ALL_GATHER, group, name, FORWARD, axes)
        if group[1] > 1 and "nograd" not in equation.tags and scope.is_first(BACKWARD, *key):
            scope.add(ALL_GATHER, group, f"{name}, gathered again", BACKWARD, axes)
            scope.add(REDUCE_SCATTER, group, f"d{name}", BACKWARD, axes)


def _columns(scope: DeclarationScope, axes: tuple[str, ...]) -> set[str]:
    """Return the axes of a row, whose lengths do not depend on the workload."""
    return {axis for axis in axes if axis != "b" and not isinstance(scope.place.extent(axis), Form)}
