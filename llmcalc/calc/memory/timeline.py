"""Memory timeline of a training step. The peak is the largest total at any moment, not a sum of separate maxima.

forward -> loss -> backward, block by block (with any recomputation) -> tied table -> optimizer step

ZeRO-3 follows PyTorch's ``fully_shard``, applied to every block and then to the model [zhao2023]. Each block is
one group, and the layers outside the blocks form another. The weights of the outer group stay gathered from the
forward pass to the end of the backward pass, when their gradients are reduced. During the backward pass of a
block, the previous block is prefetched and the gradients of the next block are reduced. In a pipeline, as in
torchtitan, a stage keeps gathered weights and unsharded gradients until the last micro-batch. Communicating
them for each micro-batch would be slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .liveness import Liveness


class Moment(NamedTuple):
    """Memory at one moment, in bytes. ``gathered`` counts full weights in addition to their ZeRO-3 shards."""

    phase: str
    weights: int
    gathered: int
    gradients: int
    optimizer: int
    activations: int
    transient: int

    @property
    def total(self) -> int:
        """Total memory in bytes."""
        return sum(self[1:])


class Segment(NamedTuple):
    """A model segment between two checkpoints, either ``count`` equal blocks or the layers outside the blocks.

    Attributes:
        saved: bytes that a block saves in the forward pass.
        saved_in_backward: saved bytes of a block during its backward pass, including recomputed tensors.
        gradients: bytes of weight gradients that remain after the backward pass of a block.
        gathered_weights: bytes of a block's full weights under ZeRO-3, or 0 if weights are not gathered per block.
        full_gradients: bytes of a block's gradients before ZeRO sharding, or 0 if not sharded per block.
    """

    label: str
    count: int  # type: ignore[assignment]  # hides tuple.count
    saved: int
    saved_in_backward: int
    trace: Liveness
    gradients: int
    gathered_weights: int = 0
    full_gradients: int = 0
    is_outside: bool = False
    shared: bool = False


class Loss(NamedTuple):
    """Bytes saved for the loss, and temporary bytes used in its backward pass."""

    saved: int
    transient: int


class StepBytes(NamedTuple):
    """Bytes that a step uses outside the segments.

    Attributes:
        optimizer_transient: temporary bytes of the optimizer step.
        table_transient: temporary bytes for the gradient of a tied token table.
        in_flight: activation bytes of other micro-batches in the pipeline.
        resident_gradients: gradient bytes in memory at the start of the step.
    """

    weights: int
    optimizer: int
    gradients: int
    optimizer_transient: int
    table_transient: int
    in_flight: int = 0
    resident_gradients: int = 0
    gathered_weights: int = 0


def moments(segments: list[Segment], loss: Loss, step: StepBytes) -> Iterator[Moment]:
    """Yield every moment at which the peak may occur, in chronological order."""
    saved = sum(segment.saved * segment.count for segment in segments) + loss.saved + step.in_flight
    resident = step.resident_gradients
    outside = step.gathered_weights + sum(segment.gathered_weights for segment in segments if segment.is_outside)
    blocks = [segment for segment in segments if not segment.is_outside]
    last = blocks[-1].gathered_weights if blocks else 0
    yield Moment("forward", step.weights, outside + last, resident, step.optimizer, saved, 0)
    yield Moment("loss", step.weights, outside, resident, step.optimizer, saved, loss.transient)
    saved -= loss.saved
    # sharded gradients, full gradients that stay until the end, and full gradients that are being reduced
    gradients, full, reducing = resident, 0, 0
    for segment in reversed(segments):
        if not segment.is_outside:
            blocks.pop()
        peaks = list(_backward_pass(segment))
        for number in range(segment.count):
            saved -= segment.saved
            gathered = outside + _gathered_in_backward(segment, blocks[-1:], is_first=number == segment.count - 1)
            for held, transient, computed in peaks:
                total = gradients + full + reducing + (computed if segment.full_gradients or not resident else 0)
                label = f"backward of {segment.label}"
                yield Moment(label, step.weights, gathered, total, step.optimizer, saved + held, transient)
            if segment.full_gradients and segment.is_outside:
                full += segment.full_gradients
            else:
                gradients += 0 if resident else segment.gradients
                reducing = segment.full_gradients
    if step.table_transient:
        total = gradients + full + reducing if full else resident or step.gradients
        label = "gradient of the token table"
        yield Moment(label, step.weights, outside, total, step.optimizer, 0, step.table_transient)
    yield Moment("optimizer step", step.weights, 0, step.gradients, step.optimizer, 0, step.optimizer_transient)


def _gathered_in_backward(segment: Segment, previous: list[Segment], is_first: bool) -> int:
    """Return the gathered weight bytes during a block's backward pass, including the prefetched previous block."""
    own = 0 if segment.is_outside else segment.gathered_weights
    if segment.is_outside or is_first:
        return own + (previous[0].gathered_weights if previous else 0)
    return own if segment.shared else 2 * own


def _backward_pass(segment: Segment) -> Iterator[tuple[int, int, int]]:
    """Yield (activations, transient gradients, weight gradients) per equation. The stream gradient is always live."""
    trace = segment.trace
    freed: dict[int, int] = {}
    for tensor in trace.saved.values():
        freed[tensor.step] = freed.get(tensor.step, 0) + tensor.bytes
    held, computed = segment.saved_in_backward, 0
    live: dict[str, int] = {}
    for number, step in reversed(list(enumerate(trace.steps))):
        if step.has_gradient and (step.out in live or step.out in trace.outputs):
            own = live.pop(step.out, 0 if step.out in trace.stream_outputs else step.out_bytes)
            new = {name: size for name, size in step.operands if name not in live}
            yield held, trace.stream_bytes + own + sum(live.values()) + sum(new.values()), computed
            live |= new
            computed += step.weight_bytes
        held -= freed.get(number, 0)
