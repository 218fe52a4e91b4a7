"""The moments of a training step and what is in memory at each: the peak is the largest moment, never a sum of maxima.

forward -> loss -> backward, block by block (recomputed where the policy says so) -> tables -> optimizer step
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .trace import Trace


class Moment(NamedTuple):
    """Bytes in memory at one moment. ``transient`` lives only around it: gradients of activations, temporaries."""

    phase: str
    weights: int
    gradients: int
    optimizer: int
    activations: int
    transient: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.transient


class Segment(NamedTuple):
    """A part of the model between two checkpoints: ``count`` equal blocks, or what stands outside of them.

    ``kept`` is what each holds after the forward pass, ``inner`` what it holds once it is recomputed.
    """

    label: str
    count: int  # type: ignore[assignment]  # tuple.count, which nobody needs of a segment
    kept: int
    inner: int
    trace: Trace
    gradients: int


class Loss(NamedTuple):
    """What the loss keeps, and the temporaries of its backward pass."""

    kept: int
    transient: int


class Fixed(NamedTuple):
    """What does not change during the step, the temporaries of the optimizer and of tied tables, and the activations of
    other micro-batches that wait for their backward pass.
    """

    weights: int
    optimizer: int
    all_gradients: int
    optimizer_transient: int
    table_transient: int
    table_gradients: int
    waiting: int = 0
    buffered: bool = False


def moments(segments: list[Segment], loss: Loss, fixed: Fixed) -> Iterator[Moment]:
    """Every moment that can be the largest, in the order of time."""
    held = sum(segment.kept * segment.count for segment in segments) + loss.kept + fixed.waiting
    first = fixed.all_gradients if fixed.buffered else 0
    yield Moment("forward", fixed.weights, first, fixed.optimizer, held, 0)
    yield Moment("loss", fixed.weights, first, fixed.optimizer, held, loss.transient)
    held -= loss.kept
    gradients = first
    for segment in reversed(segments):
        peaks = list(_backward(segment))
        for _ in range(segment.count):
            held -= segment.kept
            for kept, transient, weights in peaks:
                yield Moment(
                    f"backward of {segment.label}",
                    fixed.weights,
                    gradients if fixed.buffered else gradients + weights,
                    fixed.optimizer,
                    held + kept,
                    transient,
                )
            gradients += 0 if fixed.buffered else segment.gradients
    tables = fixed.all_gradients - fixed.table_gradients
    if fixed.table_transient:
        yield Moment("gradient of the token table", fixed.weights, tables, fixed.optimizer, 0, fixed.table_transient)
    yield Moment("optimizer step", fixed.weights, fixed.all_gradients, fixed.optimizer, 0, fixed.optimizer_transient)


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
