"""Tensors of a block that are in memory until its backward pass, and during it, if parts of it are recomputed.

A tensor is dropped if the equation that makes it runs again, unless an equation that doesn't run again reads it. The
inputs of what runs again are stored, and tensors that are dropped exist again from the first moment of the backward
pass of what was recomputed with them.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...core.amount import scaled
from ...core.record import NamedTuple
from .liveness import Liveness, label
from .recomputation import (
    EXCHANGE,
    EXPERT_ACTIVATION,
    EXPERT_RESULT,
    OPERATIONS,
    PRODUCT,
    Placed,
    Recomputation,
    recomputed,
    regions,
)
from .saved_tensors import FP8_COPY, SavedTensor

BLOCK_INPUT = "block input"  # the tensor that a recomputed block saves
PARTIAL_SUM = ":partial"  # suffix of a product before its sum over ranks


class LaterTensor(NamedTuple):
    """A tensor during the backward pass: the equation before which it is dropped, and the one that needs it first."""

    label: str
    bytes: int
    end: int
    start: int


Stored = tuple[dict[str, SavedTensor], tuple[LaterTensor, ...]]


def stored_tensors(trace: Liveness, own: Recomputation | None = None) -> Stored:
    """Return the tensors that a block stores until its backward pass, and those of its backward pass."""
    held = tuple(_held(trace, tensor) for tensor in trace.saved.values())
    if own is None or not own.words:
        return trace.saved, held
    if own.is_partial and OPERATIONS not in own.words:
        return _with_modules(trace, own)
    whole = SavedTensor(BLOCK_INPUT, scaled(trace.stream_bytes, 1, own.group), 0)
    stored = {BLOCK_INPUT: whole}
    if own.is_partial:
        stored |= {tensor.name: tensor for tensor in _operations(trace, own)}
    others = [each._replace(end=0, bytes=scaled(each.bytes, own.group - 1)) for each in held] if own.group > 1 else []
    entry = LaterTensor(BLOCK_INPUT, trace.stream_bytes, 0, len(trace.steps))
    return stored, (*held, entry, *others)


def _held(trace: Liveness, tensor: SavedTensor, start: int | None = None) -> LaterTensor:
    """Return a tensor in the backward pass. No equation frees one that is saved after the last equation."""
    last = len(trace.steps)
    return LaterTensor(
        label(tensor.name), tensor.bytes, tensor.step if tensor.step < last else 0, last if start is None else start
    )


def _with_places(trace: Liveness) -> list[Placed]:
    """Return the equations of a block. Those of one layer have the same place before the first dot of their names."""
    return [Placed(step.out.partition(".")[0], step.words) for step in trace.steps]


def _uses(trace: Liveness) -> dict[str, tuple[int | None, set[int]]]:
    """Return which equation makes each saved tensor, or None outside the block, and which equations save it.

    Copies of an operand, masks and rows of norms are made by the equation that saves them.
    """
    makers = {step.out: number for number, step in enumerate(trace.steps)}
    found = dict[str, tuple[int | None, set[int]]]()
    for name, _, _, step in trace.savings:
        if name in trace.saved:
            maker = makers.get(name.removesuffix(FP8_COPY)) if ":" not in name.removesuffix(FP8_COPY) else step
            found.setdefault(name, (maker, set()))[1].add(step)
    return found


def _operations(trace: Liveness, own: Recomputation) -> Iterator[SavedTensor]:
    """Yield the results of products and attention kernels, and of collectives, that ``op`` saves."""
    is_fused = trace.policy.attention == "flash"
    again, uses = recomputed(_with_places(trace), own, is_fused=is_fused), _uses(trace)
    for name, (maker, _) in uses.items():
        if maker is not None and maker < len(again) and not again[maker]:
            yield trace.saved[name]
    for number, step in enumerate(trace.steps):
        is_product = PRODUCT in step.words and not again[number]
        is_exchanged = bool(step.partial_bytes) or (EXCHANGE in step.words and trace.mesh.ep > 1)
        if step.out_bytes and (is_product or is_exchanged):
            yield SavedTensor(step.out, step.out_bytes, number)
        if is_product and step.partial_bytes:
            yield SavedTensor(f"{step.out}{PARTIAL_SUM}", step.partial_bytes, number)


def _with_modules(trace: Liveness, own: Recomputation) -> Stored:
    """Return the tensors if the equations of modules run again.

    With the activation of experts, Megatron-Core multiplies it by the shares of the router, so that their gradient
    needs no result of an expert (``weighted_bias_swiglu_impl`` in fusions/fused_bias_swiglu.py).
    """
    parts, uses = regions(_with_places(trace), own), _uses(trace)
    makers = {step.out: number for number, step in enumerate(trace.steps)}
    again = frozenset[int]().union(*(numbers for numbers, _ in parts))
    stored, held = dict(trace.saved), dict[str, LaterTensor]()
    for numbers, is_discarded in parts:
        drops = {
            name: readers
            for name, (maker, readers) in uses.items()
            if maker in numbers and (is_discarded or readers <= numbers)
        }
        start = max(numbers.union(*drops.values()))
        for name in drops:
            stored.pop(name, None)
            held[name] = _held(trace, trace.saved[name], start)
        for number in numbers:
            for name, size in trace.steps[number].operands:
                if size and not {name, f"{name}{FP8_COPY}"} & trace.saved.keys() and makers.get(name) not in again:
                    stored[name] = SavedTensor(name, size, min(numbers))
    if EXPERT_ACTIVATION in own.words:
        results = {step.out for step in trace.steps if EXPERT_RESULT in step.words}
        stored = {name: tensor for name, tensor in stored.items() if name not in results}
    return stored, (*(_held(trace, tensor) for tensor in stored.values()), *held.values())
