"""Partial sums. A reduction takes place as late as possible: sums and products apply to partial sums."""

from __future__ import annotations

from ...core.equation import Equation
from ..collectives import ALL_GATHER, ALL_REDUCE, BACKWARD, FORWARD, REDUCE_SCATTER
from .declaration_scope import DeclarationScope, Partial, Version

SUMS = ("add", "mul", "scale", "copy", "cast")  # functions of a partial sum that give a partial sum


def partial_operands(scope: DeclarationScope, equation: Equation) -> Partial | None:
    """Return the ranks that have partial sums of a function's result. Reduce the partial operands of other equations.

    The outputs of all experts or of parallel branches are therefore reduced once, after they are added.
    """
    names = dict.fromkeys(operand.name for operand in equation.operands)
    partial = [scope.versions[name] for name in names if name in scope.versions and scope.versions[name].partial]
    for version in partial:
        version.is_read = True
    known = {version.partial for version in partial}
    scaled_by = [name for name in names if name in scope.weights]
    is_linear = equation.function in SUMS and len(known) == 1
    if is_linear and (equation.function != "mul" or (len(partial) == 1 and not scaled_by)):
        return known.pop()
    for version in partial:
        reduce(version)
    return None


def contracted(scope: DeclarationScope, equation: Equation) -> Partial | None:
    """Return the ranks that have partial sums because an equation sums over a divided axis."""
    group, ranks = scope.mesh.reduction(equation, scope.declaration)
    return Partial(group, ranks) if group else None


def reduce(version: Version) -> None:
    """Reduce the partial sums of a tensor, once. Sequence parallelism scatters the result over the sequence."""
    if version.partial is None:
        return
    group, version.partial = version.partial, None
    scope, name, axes = version.scope, version.name, version.axes
    if scope.shards(axes) > 1 or (scope.mesh.sp and scope.is_sequence(axes)):
        scope.add(REDUCE_SCATTER, group, name, FORWARD, axes)
        scope.add(ALL_GATHER, group, f"d{name}", BACKWARD, axes)
    else:
        scope.add(ALL_REDUCE, group, name, FORWARD, axes)
