"""Replicated tensors that enter divided equations.

The gradient of such a tensor is a partial sum on each rank. The sum is reduced once, even if several matrices read the
tensor. With sequence parallelism, the ranks first gather the tensor. The gradients of replicated weights are reduced
once per step.
"""

from __future__ import annotations

from ...core.declaration import Tensor
from ...core.equation import Equation
from ...core.ledger import elements, identity
from ..collectives import ALL_GATHER, ALL_REDUCE, BACKWARD, FORWARD, REDUCE_SCATTER, UPDATE
from . import moved_elements
from .declaration_scope import DeclarationScope, Partial
from .sequence import exchange, receive_halo

Group = tuple[str, int]  # name of the parallelism and number of ranks


def enter_operands(scope: DeclarationScope, equation: Equation, partial: Partial | None) -> None:
    """Record the collectives of operands that are less divided than the result."""
    if not (scope.recorder.training or scope.mesh.sp or scope.mesh.cp > 1):  # no gradients, and all tokens on each rank
        for operand in equation.operands:
            moved_elements.gather_divided(scope, operand, equation)
        return
    is_constant, divided = "nograd" in equation.tags, scope.shards(equation.out.axes)
    group = _dividing_group(scope, equation, partial)
    has_weight = any(operand.name in scope.weights for operand in equation.operands)
    is_in_experts = scope.replicas > 1 and equation.out.name in scope.in_experts
    for operand in equation.operands:
        if operand.name in scope.weights:
            for tensor in scope.weights_of(operand.name) if not is_constant else ():
                _reduce_weight_gradient(scope, tensor, divided, is_in_experts)
            continue
        receive_halo(scope, operand, equation)
        version = scope.versions.get(operand.name)
        if version and version.partial:
            continue
        axes = scope.axes_of(operand)
        if "b" not in axes:
            for tensor in scope.weights_of(operand.name) if divided > scope.shards(axes) else ():
                _reduce_weight_gradient(scope, tensor, divided)
            continue
        exchange(scope, operand, equation)
        if group[1] > 1 and scope.shards(axes) == 1:
            is_gathered_again = has_weight and equation.function is None
            is_separate = moved_elements.is_separate(scope, axes, equation)
            if has_weight or not _is_reused(scope, operand.name):
                enter(scope, operand.name, axes, group, is_gathered_again, not is_constant, is_separate)
        moved_elements.gather_divided(scope, operand, equation)
        for name in scope.declaration.pieces.get(operand.name, ()) if group[1] > 1 else ():
            enter(scope, name, scope.versions[name].axes, group)


def _is_reused(scope: DeclarationScope, name: str) -> bool:
    """Return whether a tensor has entered divided equations in an earlier layer, such as keys that layers share.

    This is the case if the layer takes the tensor in place of its own. The gradients of all layers are then added on
    each rank, and the earlier layer reduces their sum. A matrix, in contrast, completes the gradient of its input in
    each layer.
    """
    version = scope.versions.get(name)
    while version and version.source in scope.versions:
        version = scope.versions[version.source]
    return version is not None and version.source in scope.declaration.elsewhere


def _dividing_group(scope: DeclarationScope, equation: Equation, partial: Partial | None) -> Group:
    """Return the group of ranks over which an equation is divided, or over which a product has a partial factor."""
    is_divided = scope.shards(equation.out.axes) > 1
    if not (is_divided or (partial and equation.function == "mul")):
        return "", 1
    is_routed = any(axis in scope.used for term in (equation.out, *equation.operands) for axis in term.axes)
    if is_routed and scope.mesh.ep > 1 and scope.has_all_tokens:  # the ranks of all experts
        return scope.expert_group()
    return (partial.group, partial.ranks) if partial and not is_divided else scope.mesh.group("tensor", is_routed)


def enter(
    scope: DeclarationScope, name: str, axes: tuple[str, ...], group: Group, is_gathered_again: bool = False,
    has_gradient: bool = True, is_separate: bool = False,
) -> None:  # fmt: skip
    """Record that a replicated tensor enters divided equations, once per tensor.

    The backward pass gathers the input of a weight matrix again (``is_gathered_again``). If each rank needs other
    elements (``is_separate``), it also gathers the gradient instead of adding the terms of the ranks.
    """
    name, axes = _sent_tensor(scope, name, axes)
    version = scope.versions.get(name)
    if version and version.factors:  # the gradients of its factors are partial sums too, which are reduced instead
        for factor in version.factors:
            enter(scope, factor, scope.versions[factor].axes, group)
        return
    axes = version.axes if version else axes
    is_input = version is None and name == scope.declaration.input and scope.input_place is not None
    key = scope.input_place if is_input else (scope.place.entry.path, scope.place.part, name, version), group
    if is_input:  # the gradients of padded rows are not needed
        axes = tuple("q" if axis == scope.declaration.padded else axis for axis in axes)
    scope = version.scope if version else scope
    is_scattered = scope.mesh.sp and scope.is_sequence(axes)
    if is_scattered and scope.recorder.is_first(FORWARD, *key):
        scope.add(ALL_GATHER, group, name, FORWARD, axes)
    if not (has_gradient and scope.recorder.is_first(BACKWARD, *key)):
        return
    if is_scattered and is_gathered_again:
        scope.add(ALL_GATHER, group, f"{name}, gathered again", BACKWARD, axes)
    kind = REDUCE_SCATTER if is_scattered or scope.shards(axes) > 1 else ALL_GATHER if is_separate else ALL_REDUCE
    scope.add(kind, group, f"d{name}", BACKWARD, axes)


def _sent_tensor(scope: DeclarationScope, name: str, axes: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the tensor that was sent in place of the given one, with its axes.

    It is the tensor from which the given one was made, unless the given one was itself sent to the ranks of experts.
    """
    is_sent = scope.mesh.sp and scope.mesh.ep > 1 and scope.used & set(axes)
    version = scope.versions.get(name)
    while version and version.source and not is_sent:
        name, axes = version.source, tuple(axis for axis in axes if axis not in scope.used)
        version = scope.versions.get(name)
    return name, axes


def _reduce_weight_gradient(
    scope: DeclarationScope, tensor: Tensor, divided: int, is_in_experts: bool = False
) -> None:  # fmt: skip
    """Record the reduction of the gradient of a weight that several tensor-parallel ranks store. In experts, ranks with
    the same tokens apply the weight to the outputs of different experts.
    """
    entry, declaration, recorder = scope.place.entry, scope.declaration, scope.recorder
    copies = scope.mesh.tp // scope.shards(tensor.axes)
    if tensor.buffer or scope.is_expert(tensor) or copies == 1:
        return
    if divided == 1 and not scope.mesh.sp:
        if not is_in_experts:
            return
        copies = scope.replicas
    where = (entry.stack.name, entry.share, entry.name) if entry.share else entry.path
    shared = identity(entry.stack, tensor)
    key = shared or (where, scope.place.part, tensor.name)
    if key in recorder.reduced_weights:
        return
    recorder.reduced_weights.add(key)
    factors = (("n_params", scope.mesh.share_of_weight(tensor, declaration, elements(tensor, declaration))),)
    times = 1 if shared or entry.share else entry.stored
    recorder.add(scope.place, ALL_REDUCE, ("tp", copies), f"d{tensor.name}", UPDATE, factors, times=times)
