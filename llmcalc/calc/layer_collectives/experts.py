"""Expert parallelism. Tokens are sent to the ranks of their experts, and the outputs are sent back."""

from __future__ import annotations

from ...core.equation import Equation, Operand
from ..collectives import ALL_GATHER, ALL_TO_ALL, BACKWARD, FORWARD
from .declaration_scope import DeclarationScope, Partial, Version
from .partial_sums import reduce
from .replicated_tensors import enter


def route(scope: DeclarationScope, equation: Equation) -> Partial | None:
    """Record the exchange of tokens before and after routed experts.

    Return the ranks that have partial sums of the result of an equation that adds the outputs of a token's experts.
    """
    if not scope.used:
        return None
    names = [operand.name for operand in equation.operands]
    is_routed = any(scope.is_expert(scope.weights.get(name)) for name in names)
    from_experts = [name for name in names if name in scope.in_experts]
    is_per_expert = bool(scope.used & set(equation.out.axes))
    others = [each for each in equation.operands if each.name not in (*scope.weights, *scope.in_experts)]
    if scope.mesh.ep > 1 and (is_routed or (from_experts and is_per_expert and scope.has_all_tokens)):
        group = _group(scope, from_experts)
        for operand in others:
            _dispatch(scope, operand, group)
    if from_experts and is_per_expert and scope.sends_shares:
        for operand in others:
            _gather_gradient(scope, operand)
    is_last = scope.mesh.ep > 1 and bool(from_experts) and (not is_per_expert or _reads_own_tokens(scope, others))
    if (is_routed or from_experts) and is_per_expert:
        scope.in_experts.add(equation.out.name)
    if is_last:
        scope.in_experts.discard(equation.out.name)
    return _combine(scope, scope.versions[from_experts[0]]) if is_last else None


def _group(scope: DeclarationScope, from_experts: list[str]) -> tuple[str, int]:
    """Return the ranks that have parts of the gradients of experts' inputs."""
    is_whole = from_experts and not any(scope.versions[name].partial for name in from_experts)
    return scope.expert_group(1 if is_whole else None)


def _reads_own_tokens(scope: DeclarationScope, others: list[Operand]) -> bool:
    """Return whether some operands, such as the scores, are tensors that each rank has only for its own tokens."""
    return scope.mesh.sp and any("b" in scope.axes_of(operand) for operand in others)


def _dispatch(scope: DeclarationScope, operand: Operand, group: tuple[str, int]) -> None:
    """Record that the inputs of routed experts are sent to the experts' ranks, once per tensor. The ranks in ``group``
    have parts of the gradient if they have all tokens.
    """
    axes = scope.axes_of(operand)
    if "b" not in axes or not scope.is_first("dispatch", operand.name):
        return
    if scope.has_all_tokens:
        enter(scope, operand.name, axes, group)
        return
    _all_to_all(scope, operand.name, (*axes, *(axis for axis in sorted(scope.used) if axis not in axes)))
    if scope.sends_shares:
        scope.add(ALL_GATHER, ("tp", scope.replicas), "dx", BACKWARD, _tokens(scope, axes))


def _gather_gradient(scope: DeclarationScope, operand: Operand) -> None:
    """Record that ranks with the same tokens gather the gradient of a tensor, such as the scores.

    Each rank has multiplied the rows of the tokens that it sent.
    """
    axes = scope.axes_of(operand)
    if "b" in axes and scope.is_first("gather", operand.name):
        scope.add(ALL_GATHER, ("tp", scope.replicas), f"d{operand.name}", BACKWARD, axes)


def _combine(scope: DeclarationScope, version: Version) -> Partial | None:
    """Record that outputs of routed experts are sent back, and return the ranks with partial sums of the result."""
    partial = version.partial
    if scope.has_all_tokens:
        version.partial = None
        return Partial(*scope.expert_group(partial.ranks if partial else 1))
    if scope.mesh.sp:
        reduce(version)
        partial = None
    _all_to_all(scope, version.name, version.axes)
    if scope.sends_shares:
        scope.add(ALL_GATHER, ("tp", scope.replicas), "y", FORWARD, _tokens(scope, version.axes))
    return partial


def _tokens(scope: DeclarationScope, axes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the axes of a tensor with one row per token instead of one per token and expert."""
    return tuple(axis for axis in axes if axis not in scope.used)


def _all_to_all(scope: DeclarationScope, name: str, axes: tuple[str, ...]) -> None:
    mesh = scope.mesh
    for phase, tensor in ((FORWARD, name), (BACKWARD, f"d{name}")):
        scope.add(ALL_TO_ALL, ("ep", mesh.ep), tensor, phase, axes, shards=mesh.tp if mesh.sp else scope.replicas)
