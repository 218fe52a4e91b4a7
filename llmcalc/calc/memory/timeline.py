"""The moments of a training step and what is in memory at each: the peak is the largest moment, never a sum of maxima.

forward -> loss -> backward, block by block (recomputed where the policy says so) -> tables -> optimizer step

What ZeRO divides is whole for a while. Modelled is PyTorch's ``fully_shard``, called on every block and then on the
model [zhao2023]: a block is one group, all that stands outside of the blocks another. The weights of the latter are
gathered from the forward to the end of the backward pass, where its gradients are reduced. While a block is computed
backwards, the one before it is gathered, and the gradients of the one behind it are reduced. In a pipeline all weights
of a stage stay gathered, and its gradients whole, until the last micro-batch, as in torchtitan: to gather and reduce
them for each micro-batch would be slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .liveness import Trace


class Moment(NamedTuple):
    """Bytes in memory at one moment. ``gathered`` are weights that are whole beside their shares (ZeRO-3);
    ``transient`` lives only around the moment: gradients of activations, temporaries.
    """

    phase: str
    weights: int
    gathered: int
    gradients: int
    optimizer: int
    activations: int
    transient: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self[1:])


class Segment(NamedTuple):
    """A part of the model between two checkpoints: ``count`` equal blocks, or what stands outside of them.

    ``kept`` is what each holds after the forward pass, ``inner`` what it holds once it is recomputed; ``gradients``
    what remains of its weights' gradients. ``gathered`` are its weights and ``whole`` its gradients before they are
    divided (0: they are not). ``outside``: it is no block; ``shared``: its blocks have the same weights.
    """

    label: str
    count: int  # type: ignore[assignment]  # tuple.count, which nobody needs of a segment
    kept: int
    inner: int
    trace: Trace
    gradients: int
    gathered: int = 0
    whole: int = 0
    outside: bool = False
    shared: bool = False


class Loss(NamedTuple):
    """What the loss keeps, and the temporaries of its backward pass."""

    kept: int
    transient: int


class Fixed(NamedTuple):
    """What does not change during the step, the temporaries of the optimizer and of tied tables, and the activations of
    other micro-batches that wait for their backward pass. ``first`` are gradients that are there from the start: in a
    buffer, or of earlier micro-batches; ``gathered`` weights that are whole throughout.
    """

    weights: int
    optimizer: int
    all_gradients: int
    optimizer_transient: int
    table_transient: int
    waiting: int = 0
    first: int = 0
    gathered: int = 0


def moments(segments: list[Segment], loss: Loss, fixed: Fixed) -> Iterator[Moment]:
    """Every moment that can be the largest, in the order of time."""
    held = sum(segment.kept * segment.count for segment in segments) + loss.kept + fixed.waiting
    first = fixed.first
    outside = fixed.gathered + sum(segment.gathered for segment in segments if segment.outside)
    blocks = [segment for segment in segments if not segment.outside]
    last = blocks[-1].gathered if blocks else 0
    yield Moment("forward", fixed.weights, outside + last, first, fixed.optimizer, held, 0)
    yield Moment("loss", fixed.weights, outside, first, fixed.optimizer, held, loss.transient)
    held -= loss.kept
    gradients, waiting, reduced = first, 0, 0  # divided; whole until the end; whole for as long as they are reduced
    for segment in reversed(segments):
        if not segment.outside:
            blocks.pop()
        peaks = list(_backward(segment))
        for number in range(segment.count):
            held -= segment.kept
            gathered = outside + _gathered(segment, blocks[-1:], first=number == segment.count - 1)
            for kept, transient, done in peaks:
                total = gradients + waiting + reduced + (done if segment.whole or not first else 0)
                label = f"backward of {segment.label}"
                yield Moment(label, fixed.weights, gathered, total, fixed.optimizer, held + kept, transient)
            if segment.whole and segment.outside:
                waiting += segment.whole
            else:
                gradients, reduced = gradients + (0 if first else segment.gradients), segment.whole
    if fixed.table_transient:
        tables = gradients + waiting + reduced if waiting else first or fixed.all_gradients
        label, transient = "gradient of the token table", fixed.table_transient
        yield Moment(label, fixed.weights, outside, tables, fixed.optimizer, 0, transient)
    transient = fixed.optimizer_transient
    yield Moment("optimizer step", fixed.weights, 0, fixed.all_gradients, fixed.optimizer, 0, transient)


def _gathered(segment: Segment, before: list[Segment], first: bool) -> int:
    """Weights of a block that is computed backwards and of the one before it, which is gathered meanwhile."""
    if segment.outside:
        return before[0].gathered if before else 0
    if not first:
        return segment.gathered if segment.shared else 2 * segment.gathered
    return segment.gathered + (before[0].gathered if before else 0)


def _backward(segment: Segment) -> Iterator[tuple[int, int, int]]:
    """(activations, transient gradients, gradients of weights) at each equation's backward pass, in reverse.

    The gradient of the residual stream lives throughout; it is the gradient of every sub-layer's output as well.
    """
    trace = segment.trace
    freed: dict[int, int] = {}
    for kept in trace.kept.values():
        freed[kept.step] = freed.get(kept.step, 0) + kept.bytes
    held, done = segment.inner, 0
    live: dict[str, int] = {}
    for number in range(len(trace.steps) - 1, -1, -1):
        step = trace.steps[number]
        if step.flows and (step.out in live or step.out in trace.ends):
            own = live.pop(step.out, 0 if step.out in trace.streams else step.out_bytes)
            fresh = {name: size for name, size in step.operands if name not in live}
            yield held, trace.stream_bytes + own + sum(live.values()) + sum(fresh.values()), done
            live |= fresh
            done += step.weight_bytes
        held -= freed.get(number, 0)
