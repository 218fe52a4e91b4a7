"""Training memory: weights, gradients, optimizer states, kept activations, and the largest moment of the step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

from ..core.architecture import Architecture, Stack, declare
from ..core.ledger import rows
from ..core.record import record
from ..core.workload import Workload, symbols
from .formats import BITS_A_BYTE
from .optimizer import Adapters, StateRule, trained
from .params import params
from .policy import SINGLE, Policy
from .shard import Mesh
from .timeline import Fixed, Loss, Moment, Segment, moments
from .trace import Trace
from .weights import Weights, stored


@record
class Recipe:
    """What training keeps beside the activations.

    Attributes:
        name: what the recipe is called.
        weights: bytes of a weight as it is computed with.
        gradients: bytes of a gradient as it is accumulated.
        master: bytes of a higher-precision copy that the optimizer updates (0: none).
        states: the optimizer's states.
        buffered: gradients stand in one buffer that is there throughout the step (Megatron-LM's distributed data
            parallel), instead of being made in the backward pass and freed after the optimizer's step (PyTorch).
        temporaries: copies of the largest tensor that the optimizer makes while it steps.
        adapters: what is trained instead of the weights themselves.
        frozen: how the weights that adapters stand beside are stored (None: in ``weights`` bytes).
    """

    name: str
    weights: int
    gradients: int
    master: int
    states: tuple[StateRule, ...]
    temporaries: int = 0
    buffered: bool = False
    adapters: Adapters | None = None
    frozen: Weights | None = None


class Held(NamedTuple):
    """Bytes that all ranks hold which hold the same tensors: of experts, and of all else."""

    dense: int = 0
    expert: int = 0

    def plus(self, size: int, expert: bool) -> Held:
        """With one tensor more."""
        return Held(self.dense, self.expert + size) if expert else Held(self.dense + size, self.expert)

    def on(self, mesh: Mesh, divided: bool) -> int:
        """Bytes on one rank; ZeRO divides them over the ranks that hold the same ones."""
        if not divided:
            return self.dense + self.expert
        return -(-self.dense // (mesh.data * mesh.context)) + -(-self.expert // mesh.expert_replicas)


class Sizes(NamedTuple):
    """Bytes of one rank's weights, gradients and optimizer before ZeRO; elements of its largest tensor, and of a token
    table that is tied (or 0).
    """

    weights: Held
    gradients: Held
    optimizer: Held
    largest: int
    table: int


@record
class TrainingMemory:
    """Memory of a training step on one rank, in bytes.

    ``weights``, ``gradients`` and ``optimizer`` (with a master copy, if there is one) are what the step needs in full;
    ``activations`` what is kept after the forward pass; ``peak`` is the largest moment, ``phase`` says which.
    """

    architecture: Architecture
    workload: Workload
    policy: Policy
    recipe: Recipe
    mesh: Mesh
    timeline: tuple[Moment, ...]
    weights: int
    gradients: int
    optimizer: int
    activations: int

    @cached_property
    def largest(self) -> Moment:
        """The largest moment with its parts."""
        return max(self.timeline, key=lambda moment: moment.total)

    @property
    def peak(self) -> int:
        """Bytes at the largest moment."""
        return self.largest.total

    @property
    def phase(self) -> str:
        """Which moment is the largest."""
        return self.largest.phase

    @property
    def state(self) -> int:
        """Training keeps no state across steps of decoding."""
        return 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data whose keys are the attribute names."""
        parts = self.largest._asdict()
        names = ("peak", "phase", "weights", "gradients", "optimizer", "activations", "state")
        return {**{name: getattr(self, name) for name in names}, "at_peak": parts}


def training_memory(
    architecture: Architecture,
    workload: Workload,
    policy: Policy,
    recipe: Recipe,
    mesh: Mesh,
    in_flight: tuple[int, int] = (1, 1),
) -> TrainingMemory:
    """The memory of one training step on one rank.

    ``in_flight`` is the number, as a fraction, of micro-batches whose activations are held at once.
    """
    sizes = _sizes(architecture, recipe, mesh)
    if policy.convention == "torch" and architecture.layout:  # the optimizer steps over tensors as they are stored
        shapes = (shape for _, shape in params(architecture).tensors("transformers"))
        sizes = sizes._replace(largest=max(map(prod, shapes)))
    weights = sizes.weights.on(mesh, mesh.zero >= 3)
    gradients = sizes.gradients.on(mesh, mesh.zero >= 2)
    optimizer = sizes.optimizer.on(mesh, mesh.zero >= 1)
    segments, loss = _segments(architecture, workload, policy, mesh)
    if mesh.zero >= 2:  # a block's gradients are divided as soon as its backward pass is done
        whole = max(sizes.gradients.on(mesh, divided=False), 1)
        segments = [segment._replace(gradients=-(-segment.gradients * gradients // whole)) for segment in segments]
    table = sizes.table * recipe.gradients
    blocks = sum(segment.kept * segment.count for segment in segments)
    waiting = -(-blocks * (in_flight[0] - in_flight[1]) // in_flight[1])
    temporaries = recipe.temporaries * sizes.largest * recipe.weights
    fixed = Fixed(weights, optimizer, gradients, temporaries, 3 * table, table, max(waiting, 0), recipe.buffered)
    kept = blocks + max(waiting, 0) + loss.kept
    timeline = tuple(moments(segments, loss, fixed))
    return TrainingMemory(architecture, workload, policy, recipe, mesh, timeline, weights, gradients, optimizer, kept)


def kept_tensors(
    architecture: Architecture, workload: Workload, policy: Policy, mesh: Mesh
) -> Iterator[tuple[str, int]]:
    """(name, bytes) of every tensor kept after the forward pass, without recomputation; that of the loss last."""
    segments, loss = _segments(architecture, workload, policy, mesh)
    for segment in segments:
        for _ in range(segment.count):
            yield from ((f"{segment.label}.{kept.name}", kept.bytes) for kept in segment.trace.kept.values())
    if loss.kept:
        yield "loss", loss.kept


def _sizes(architecture: Architecture, recipe: Recipe, mesh: Mesh) -> Sizes:
    weights, gradients, optimizer = Held(), Held(), Held()
    largest = table = 0
    uses: dict[str, int] = {}
    for row in rows(architecture.stacks):
        if row.tensor.buffer:
            continue
        own, expert = mesh.share_of_weight(row.tensor, row.declaration, row.size), row.tensor.active is not None
        elements, states = trained(row, own, recipe.states, recipe.adapters)
        kept = 0 if recipe.frozen else own * recipe.weights
        adapter = elements * recipe.weights if recipe.adapters else 0
        weights = weights.plus((kept + adapter) * row.copies, expert)
        gradients = gradients.plus(elements * recipe.gradients * row.copies, expert)
        optimizer = optimizer.plus((elements * recipe.master + states) * row.copies, expert)
        largest = max(largest, elements if row.copies else 0)
        if row.tensor.share:
            uses[row.tensor.share] = uses.get(row.tensor.share, 0) + 1
            if row.tensor.table == "token" or (uses[row.tensor.share] > 1 and row.entry.name == "head"):
                table = max(table, elements if uses[row.tensor.share] > 1 else 0)
    if recipe.frozen:
        bits = sum(entry.bits for entry in stored(architecture, recipe.frozen, mesh))
        weights = weights.plus(-(-bits // BITS_A_BYTE), expert=False)
    return Sizes(weights, gradients, optimizer, largest, table)


def _segments(architecture: Architecture, workload: Workload, policy: Policy, mesh: Mesh) -> tuple[list[Segment], Loss]:
    lone, values = not architecture.is_encoder_decoder, workload.values(architecture)
    found: list[Segment] = []
    loss = Loss(0, 0)
    for stack in architecture.stacks:
        names = symbols(stack, lone)

        def new() -> Trace:
            trace = Trace(policy, names, values, mesh)  # noqa: B023 (used within this turn of the loop)
            trace.stream_bytes = trace.size(("b", "q", "d"), {"d": stack.d_model}, policy.bytes)  # noqa: B023
            return trace

        found.append(_outside(stack, "inputs", new()))
        for run in stack.runs:
            trace = new()
            trace.block(run.block, "stream#in")
            held = sum(kept.bytes for kept in trace.kept.values())
            checkpointed = policy.recompute == "full"
            kept = trace.stream_bytes if checkpointed else held
            inner = held + kept if checkpointed else held
            gradients = sum(step.weight_bytes for step in trace.steps)
            shared = -(-gradients // run.count) if run.shared else gradients
            found.append(Segment(run.block.name, run.count, kept, inner, trace, shared))
        found.append(_outside(stack, "outputs", new()))
        loss = _loss(stack, found[-1].trace, policy) or loss
    return found, loss


def _outside(stack: Stack, section: str, trace: Trace) -> Segment:
    stream = "stream#in"
    for _, layer in getattr(stack, section):
        stream = trace.layer(layer, stream)
    trace.end(stream, stream=section == "inputs")
    if section == "inputs":
        trace.source(stack)
    held = sum(kept.bytes for kept in trace.kept.values())
    gradients = sum(step.weight_bytes for step in trace.steps)
    return Segment(section, 1, held, held, trace, gradients)


def _loss(stack: Stack, trace: Trace, policy: Policy) -> Loss | None:
    """Cross-entropy keeps the log-probabilities; its backward pass makes two tensors as large."""
    head = next((layer for _, layer in stack.outputs if layer.kind() == "head"), None)
    if head is None:
        return None
    width = SINGLE if getattr(head, "loss_in_fp32", True) else policy.bytes
    size = trace.size(("b", "q", "V"), declare(head), width)
    return Loss(size, 2 * size)
