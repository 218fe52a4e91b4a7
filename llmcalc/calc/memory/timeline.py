"""Memory timeline of a training step. The peak is the largest total at any moment, not a sum of separate maxima.

forward -> loss -> backward, block by block (with any recomputation) -> tied table -> optimizer step

ZeRO-3 follows PyTorch's ``fully_shard``, applied to every block and then to the model [zhao2023]. Each block is
one group, and the layers outside the blocks form another. The weights of the outer group stay gathered from the
forward pass until the end of the backward pass. Their gradients are then reduced. During the backward pass of a
block, the previous block is prefetched and the gradients of the next block are reduced. As in torchtitan, a
pipeline stage keeps gathered weights and unsharded gradients until the last micro-batch, because communicating
them for each micro-batch would be slow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate
from operator import itemgetter

from ...core.amount import Sum, largest_items, scaled, summed
from ...core.record import NamedTuple
from .dropped_tensors import LaterTensor
from .liveness import Liveness, label
from .saved_tensors import SavedTensor

Peak = tuple[Sum, Sum, Sum]  # activations, transient gradients and weight gradients


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
    """A model segment between two checkpoints, consisting of ``count`` equal blocks or the layers outside the blocks.

    Attributes:
        saved: bytes that a block saves in the forward pass.
        held: tensors of a block during its backward pass, including recomputed ones.
        tensors: tensors that a block stores until its backward pass, without those that another segment saves.
        gradients: bytes of weight gradients that remain after the backward pass of a block.
        gathered_weights: bytes of a block's full weights under ZeRO-3, or 0 if weights are not gathered per block.
        full_gradients: bytes of a block's gradients before ZeRO sharding, or 0 if gradients are not sharded per
            block.
    """

    label: str
    count: int  # type: ignore[assignment]  # hides tuple.count
    saved: Sum
    held: tuple[LaterTensor, ...]
    trace: Liveness
    tensors: Mapping[str, SavedTensor]
    gradients: int
    gathered_weights: int = 0
    full_gradients: int = 0
    is_outside: bool = False
    shared: bool = False

    def backward_sizes(self) -> list[tuple[int, int]]:
        """Return the bytes of activations and their gradients, and of weight gradients, at each equation."""
        passing = _BackwardPass(self)
        sizes = zip(passing.sizes(is_new=False), passing.sizes(is_new=True), strict=True)
        return [(held, whole - held) for held, whole in sizes]


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
        dequantised: bytes of a quantised matrix in the format of the computation, for its product in a block.
        updating: gradient and temporary tensors while the backward pass updates a weight, as a multiple of the
            gradient, or 0 if the gradients stay until the optimizer step.
        is_offloaded: whether host memory holds what blocks save. The GPU has that of one block, as it is copied.
    """

    weights: int
    optimizer: int
    gradients: int
    optimizer_transient: int
    table_transient: int
    in_flight: int = 0
    resident_gradients: int = 0
    gathered_weights: int = 0
    dequantised: int = 0
    updating: int = 0
    is_offloaded: bool = False


class Timeline(NamedTuple):
    """Segments of a training step in forward order, with the memory of the loss and of the rest of the step."""

    segments: tuple[Segment, ...]
    loss: Loss
    step: StepBytes

    def moments(self) -> Iterator[Moment]:
        """Yield every moment at which the peak may occur, in chronological order."""
        return _moments(*self, all_equations=True)

    def largest_moments(self) -> Iterator[Moment]:
        """Yield the moments outside the blocks, and the moment with the largest total memory of each block."""
        return _moments(*self, all_equations=False)

    def peaks(self) -> list[Moment]:
        """Return the first moment with the largest total memory, or all that may be the largest with symbolic sizes."""
        return largest_items(self.largest_moments(), lambda moment: moment.total)


def _moments(segments: tuple[Segment, ...], loss: Loss, step: StepBytes, *, all_equations: bool) -> Iterator[Moment]:
    """Yield the moments of a step.

    The bytes that an equation adds do not depend on the block. Unless ``all_equations`` is set, only the equation that
    adds the most is evaluated in each block, and of equal blocks only the first two and the last two: between them,
    each block adds the same number of bytes.
    """
    # blocks whose saved tensors are still in memory, by name and bytes
    held_blocks = summed(((segment.label, segment.saved), segment.count) for segment in segments)
    others, most = ("other micro-batches", step.in_flight), 1 if step.is_offloaded else None
    saved = Sum(*_saved(held_blocks, most), ("loss", loss.saved), others)
    resident = step.resident_gradients
    outside = Sum(
        ("model", step.gathered_weights),
        *((segment.label, segment.gathered_weights) for segment in segments if segment.is_outside),
    )
    blocks = [segment for segment in segments if not segment.is_outside]
    last = [(blocks[-1].label, blocks[-1].gathered_weights)] if blocks else []
    yield Moment("forward", step.weights, Sum(*outside.parts, *last), resident, step.optimizer, saved, 0)
    yield Moment("loss", step.weights, outside, resident, step.optimizer, saved, loss.transient)
    # sharded gradients, full gradients that stay until the end, and full gradients that are being reduced
    full, reducing = Sum(), 0
    done: dict[tuple[str, int], int] = {}  # numbers of blocks with computed gradients, by name and bytes
    known: dict[tuple[int, int, bool], list[Peak]] = {}  # by identity, because equal blocks share a trace
    for segment in reversed(segments):
        if not segment.is_outside:
            blocks.pop()
        is_new = bool(segment.full_gradients) or not resident  # otherwise, a buffer holds all gradients
        place = id(segment.trace), id(segment.held), is_new
        if place not in known:
            passing = _BackwardPass(segment, step.updating)
            known[place] = passing.peaks() if all_equations else passing.largest_peaks(is_new)
        name, key = (segment.label, segment.saved), (segment.label, segment.gradients)
        held_before, done_before = held_blocks[name], done.get(key, 0)
        numbers = range(segment.count)
        for number in numbers if all_equations else sorted({*numbers[:2], *numbers[-2:]}):
            if number:
                done[key], reducing = done_before + number, segment.full_gradients
            held_blocks[name] = held_before - number - 1
            saved, gradients = Sum(*_saved(held_blocks, most), others), _accumulated(resident, done)
            own_weights = _gathered_in_backward(segment, blocks[-1:], is_first=number == segment.count - 1)
            gathered = Sum(*outside.parts, *own_weights)
            before = Sum(("done", gradients), ("not reduced", full), ("being reduced", reducing))
            phase, own = f"backward of {segment.label}", f"{segment.label} in its backward pass"
            for held, gradients_in_block, computed in known[place]:
                transient = gradients_in_block
                if step.dequantised and not segment.is_outside:
                    transient = Sum(*gradients_in_block.parts, ("dequantised weight", step.dequantised))
                total = before.plus(own, computed) if is_new else before
                yield Moment(phase, step.weights, gathered, total, step.optimizer, saved.plus(own, held), transient)
        if segment.full_gradients and segment.is_outside:
            full = Sum(*full.parts, (segment.label, segment.full_gradients))
        else:
            done[key], reducing = done_before + segment.count, segment.full_gradients
    if step.table_transient:
        reduced = Sum(("done", _accumulated(resident, done)), ("not reduced", full), ("being reduced", reducing))
        gradient_bytes = reduced if full else resident or step.gradients
        phase = "gradient of the token table"
        yield Moment(phase, step.weights, outside, gradient_bytes, step.optimizer, 0, step.table_transient)
    yield Moment("optimizer step", step.weights, 0, step.gradients, step.optimizer, 0, step.optimizer_transient)


def _saved(blocks: Mapping[tuple[str, Sum], int], most: int | None = None) -> Iterator[tuple[str, int]]:
    """Yield the bytes that equal blocks save, of at most ``most`` blocks."""
    for (name, saved), count in blocks.items():
        if count:
            yield name, scaled(saved, count if most is None else min(count, most))


def _accumulated(resident: int, done: Mapping[tuple[str, int], int]) -> Sum:
    """Return the bytes of the gradients of the blocks whose backward pass has ended, unless a buffer holds them all."""
    own = () if resident else ((name, scaled(size, times)) for (name, size), times in done.items())
    return Sum(("accumulated", resident), *own)


def _gathered_in_backward(segment: Segment, previous: list[Segment], is_first: bool) -> list[tuple[str, int]]:
    """Return the gathered weight bytes during a block's backward pass, including the prefetched previous block."""
    own = [] if segment.is_outside else [(segment.label, segment.gathered_weights)]
    if segment.is_outside or is_first:
        return own + [(f"{each.label}, prefetched", each.gathered_weights) for each in previous]
    return own if segment.shared else own * 2


class _BackwardPass:
    """Bytes in memory during the backward pass of each equation of a segment, the last equation first."""

    def __init__(self, segment: Segment, updating: int = 0) -> None:
        trace, self.held, self.updating = segment.trace, segment.held, updating
        self.equations: list[tuple[int, list[tuple[str, int]], int]] = []  # number, gradients, number of ``computed``
        self.computed: list[tuple[str, int]] = []  # weight gradients, in the order of their computation
        live: dict[str, int] = {}
        for number, step in reversed(list(enumerate(trace.steps))):
            if step.has_gradient and (step.out in live or step.out in trace.outputs):
                own = live.pop(step.out, 0 if step.out in trace.stream_outputs else step.out_bytes)
                new = {name: size for name, size in step.operands if name not in live}
                gradients = [("residual stream", trace.stream_bytes), (step.out, own), *live.items(), *new.items()]
                self.equations.append((number, gradients, len(self.computed)))
                live |= new
                self.computed.append((step.label, step.weight_bytes))

    def peaks(self) -> list[Peak]:
        """Return (activations, transient gradients, weight gradients) for each equation. The gradient of the residual
        stream is always live.
        """
        return [self._peak(*equation) for equation in self.equations]

    def largest_peaks(self, is_new: bool) -> list[Peak]:
        """Return the moment with the most bytes, or all that may have the most. With ``is_new``, the weight gradients
        need new bytes.
        """
        sized = zip(self.equations, self.sizes(is_new), strict=True)
        return [self._peak(*equation) for equation, _ in largest_items(sized, itemgetter(1))]

    def _peak(self, number: int, gradients: list[tuple[str, int]], n_computed: int) -> Peak:
        held = [(each.label, each.bytes) for each in self.held if each.end <= number <= each.start]
        own = self.computed[:n_computed]
        if self.updating:
            own = [(name, scaled(size, self.updating)) for name, size in self.computed[n_computed : n_computed + 1]]
        return Sum(*held), Sum(*((label(name), size) for name, size in gradients)), Sum(*own)

    def sizes(self, is_new: bool) -> Iterator[int]:
        """Yield the sum of a peak for each equation, without listing its parts."""
        count = self.equations[0][0] + 1 if self.equations else 0
        changes = [0] * (count + 1)  # of the bytes in memory, from each equation to the one after it
        for _, size, end, start in self.held:
            if end < count:
                changes[end] += size
                changes[min(start + 1, count)] -= size
        held = list(accumulate(changes))
        sizes = [size for _, size in self.computed]
        computed = [size * self.updating for size in sizes] if self.updating else [*accumulate(sizes, initial=0)]
        for number, gradients, n_computed in self.equations:
            yield held[number] + sum(map(itemgetter(1), gradients)) + (computed[n_computed] if is_new else 0)
