"""Time of a training step from the work of its stages: what runs at once, and what waits.

pass              kernels and collectives one after the other. Collectives that the program starts early run at the same
                  time as the products or the attention that hide them, or tokens are sent to experts beside all
                  kernels of another micro-batch. Small kernels take the time of their launches
micro-batch       the passes of a stage, and sending the stream to the next one
pipeline          m · slowest + (all stages - slowest) / virtual stages, for m micro-batches
replicas          gradients and gathered weights are exchanged while the step computes, or after it
optimizer         the bytes of weights, gradients and states over the memory bandwidth

Times that run at once are combined by a norm of 3: the longer one counts, and a part of the other if it is nearly as
long. All numbers may be arrays, of many layouts or many runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import mul

from ..core.arrays import Number, namespace
from ..core.record import NamedTuple, record
from ..kernels.tiles import MICRO

FORWARD_PASS, BACKWARD_PASS, RECOMPUTATION = "forward", "backward", "recomputation"
COMMUNICATION, REPLICAS, BUBBLE, OPTIMIZER, REST = (
    "communication", "replicas", "pipeline bubble", "optimizer", "rest of the step",
)  # fmt: skip
OVERLAP = 3.0  # norm in which times that run at once add up


class Work(NamedTuple):
    """Seconds of the kernels of one pass of a micro-batch as measured alone, their number, and those of collectives.

    Attributes:
        products: matrix products in 16 bits.
        low_bits: matrix products in 8 and 4 bits.
        experts: grouped products.
        attention: attention and recurrences.
        memory: kernels that read and write memory.
        kernels: number of kernels.
        calls: number of collectives.
        tp, ep, cp: seconds of collectives of tensor, expert and context parallelism.
    """

    products: Number = 0.0
    low_bits: Number = 0.0
    experts: Number = 0.0
    attention: Number = 0.0
    memory: Number = 0.0
    kernels: Number = 0.0
    calls: Number = 0.0
    tp: Number = 0.0
    ep: Number = 0.0
    cp: Number = 0.0

    @classmethod
    def total(cls, works: Sequence[Work], times: Sequence[Number]) -> Work:
        """Return the sum of works, each of which is repeated a number of times."""
        return cls._make([sum(map(mul, column, times)) for column in zip(*works, strict=True)])

    def plus(self, other: Work, times: float = 1) -> Work:
        """Return the sum with a number of repetitions of other work."""
        return Work._make([one + times * two for one, two in zip(self, other, strict=True)])


class StageWork(NamedTuple):
    """Work of a pipeline stage.

    Attributes:
        forward, backward, again: passes of a micro-batch; ``again`` is the recomputation.
        sends: seconds to send the streams of a micro-batch.
        replicas: seconds of the collectives of gradients and weights in a step.
        optimizer: seconds of the optimizer step.
        count: number of equal stages.
    """

    forward: Work
    backward: Work
    again: Work
    sends: Number
    replicas: Number
    optimizer: Number
    count: Number = 1


@record
class TrainingCoefficients:
    """Coefficients that are fitted to published steps, near what they are by physics.

    Attributes:
        products, low_bits, experts, attention, memory: times relative to those of kernels that are measured alone.
        kernel_us, call_us: microseconds in which the host launches a kernel, and a collective.
        links: time of collectives inside a step, relative to that measured alone.
        network: the same for streams, gradients and weights.
        optimizer: time of the optimizer relative to that of its bytes.
        step_ms: milliseconds of a step outside all of these, such as reading data.
        waiting: share of a step by which ranks wait for each other, for each doubling of the nodes.
    """

    products: float = 1.0
    low_bits: float = 1.0
    experts: float = 1.0
    attention: float = 1.0
    memory: float = 1.0
    kernel_us: float = 0.0
    call_us: float = 0.0
    links: float = 1.0
    network: float = 1.0
    optimizer: float = 1.0
    step_ms: float = 0.0
    waiting: float = 0.0


class Overlaps(NamedTuple):
    """Which collectives a program runs at the same time as kernels, as 0 or 1.

    ``host`` is the time of its launches relative to that of other programs, and ``rest`` that between steps.
    """

    tp: Number = 0
    cp: Number = 0
    ep: Number = 0
    sends: Number = 0
    replicas: Number = 0
    host: Number = 1.0
    rest: Number = 1.0


class Shape(NamedTuple):
    """Numbers of a layout on which the schedule depends.

    Attributes:
        n_batches: micro-batches of a step.
        virtual_stages: chunks of a stage of an interleaved pipeline.
        gathers: 1 if gradients or weights are exchanged in each micro-batch, as with ZeRO-2 and ZeRO-3.
        doublings: binary logarithm of the number of nodes.
    """

    n_batches: Number
    virtual_stages: Number = 1
    gathers: Number = 0
    doublings: Number = 0.0


def at_once(one: Number, other: Number) -> Number:
    """Return the time of two things that run at once.

    >>> at_once(3.0, 0.0), round(at_once(3.0, 3.0), 2)
    (3.0, 3.78)
    """
    return (one**OVERLAP + other**OVERLAP) ** (1 / OVERLAP)


def _joined(one: Number, other: Number, is_hidden: Number) -> Number:
    """Return the time of two things, which run at once or one after the other."""
    return namespace(is_hidden, one, other).where(is_hidden, at_once(one, other), one + other)


def pass_seconds(work: Work, c: TrainingCoefficients, overlaps: Overlaps) -> Number:
    """Return the time of one pass of a micro-batch."""
    products = c.products * work.products + c.low_bits * work.low_bits
    products = _joined(products, c.links * work.tp, overlaps.tp)
    attention = _joined(c.attention * work.attention, c.links * work.cp, overlaps.cp)
    kernels = products + c.experts * work.experts + attention + c.memory * work.memory
    launches = overlaps.host * MICRO * (c.kernel_us * work.kernels + c.call_us * work.calls)
    return at_once(_joined(kernels, c.links * work.ep, overlaps.ep), launches)


class Slot(NamedTuple):
    """Seconds of a micro-batch on a stage: of each pass without collectives, and in all."""

    forward: Number
    backward: Number
    again: Number
    total: Number

    @property
    def computed(self) -> Number:
        """Seconds of all passes without collectives."""
        return self.forward + self.backward + self.again


def slot_of(stage: StageWork, c: TrainingCoefficients, overlaps: Overlaps) -> Slot:
    """Return the time of a micro-batch on a stage."""
    passes = stage.forward, stage.backward, stage.again
    forward, backward, again = (pass_seconds(Work(*each[:6]), c, overlaps) for each in passes)
    whole = sum(pass_seconds(each, c, overlaps) for each in passes)
    return Slot(forward, backward, again, _joined(whole, c.network * stage.sends, overlaps.sends))


class Schedule(NamedTuple):
    """Seconds of a step.

    Attributes:
        slots: a micro-batch on each stage.
        pace: a micro-batch on the slowest stage.
        pipeline: all micro-batches on the slowest stage, and the bubble.
        bubble: waiting for the first and the last micro-batch of the pipeline.
        exchanged: collectives of replicas.
        visible: part of ``exchanged`` in which nothing is computed.
        optimizer: the optimizer step.
        rest: what is not computed, and waiting for other ranks.
    """

    slots: Sequence[Slot]
    pace: Number
    pipeline: Number
    bubble: Number
    exchanged: Number
    visible: Number
    optimizer: Number
    rest: Number

    @property
    def seconds(self) -> Number:
        """Time of the step."""
        return self.pipeline + self.visible + self.optimizer + self.rest


def schedule(stages: Sequence[StageWork], shape: Shape, c: TrainingCoefficients, overlaps: Overlaps) -> Schedule:
    """Return the time of a step with the given stages. Stages that are arrays have a ``count`` of 0 where there are
    fewer.
    """
    slots = [slot_of(stage, c, overlaps) for stage in stages]
    pace = _largest(slot.total for slot in slots)
    whole = sum(stage.count * slot.total for stage, slot in zip(stages, slots, strict=True))
    bubble = (whole - pace) / shape.virtual_stages
    pipeline = shape.n_batches * pace + bubble
    computed = shape.n_batches * _largest(slot.computed for slot in slots)
    once = _largest(slot.forward + slot.backward for slot in slots)  # of the first and the last micro-batch
    during = shape.gathers * computed + (1 - shape.gathers) * once
    exchanged = c.network * _largest(stage.replicas for stage in stages)
    visible = _joined(during, exchanged, overlaps.replicas) - during
    optimizer = c.optimizer * _largest(stage.optimizer for stage in stages)
    rest = overlaps.rest * c.step_ms * MICRO * 1000 + c.waiting * shape.doublings * (pipeline + visible)
    return Schedule(slots, pace, pipeline, bubble, exchanged, visible, optimizer, rest)


def _largest(values: Iterable[Number]) -> Number:
    return reduce(lambda one, other: namespace(one, other).maximum(one, other), values)
