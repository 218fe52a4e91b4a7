"""Partial sums. A reduction takes place as late as possible: sums and products apply to partial sums."""

from __future__ import annotations

from collections.abc import Iterable

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
    is_linear = equation.function in SUMS and len(known) == 1
    if is_linear and (equation.function != "mul" or (len(partial) == 1 and _is_scaled(scope, partial[0], names))):
        return known.pop()
    for version in partial:
        reduce(version)
    return None


def _is_scaled(scope: DeclarationScope, partial: Version, names: Iterable[str]) -> bool:
    """Return whether a partial sum is multiplied by smaller tensors with a row per token, such as scores of experts.

    After a product with a tensor of the same size, the backward pass would reduce another gradient of this size.
    """
    others = [version for name in names if (version := scope.versions.get(name)) is not partial]
    return all(other and not {*partial.axes} <= {*other.axes} for other in others)


def contracted(scope: DeclarationScope, equation: Equation) -> Partial | None:
    """Return the ranks that have partial sums because an equation sums over a divided axis."""
    group, ranks = scope.recorder.reduction(equation, scope.declaration)
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
