"""Time of a training step, from the operations of a micro-batch to the schedule of the pipeline.

operations of a stage   forward, backward and, with recomputation, forward again: ``training_kernels.py``
collectives of a stage  those of ``calc/communication.py``, with the measured rates of serving
micro-batch             the sum of both. The slowest stage sets the pace
pipeline                m · slowest + (all stages - slowest) / virtual stages, for m micro-batches
replicas                gradients and weights are exchanged during the computation. What takes longer adds up
optimizer               the bytes of weights, gradients and states over the memory bandwidth
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..calc.collectives import ALL_TO_ALL, FORWARD, Collective
from ..calc.communication import communication
from ..calc.memory.number_formats import BITS_A_BYTE
from ..calc.memory.zero import SHARDS_GRADIENTS, SHARDS_OPTIMIZER
from ..calc.pipeline_stages import layers_of, pipeline_stages
from ..calc.recomputed_work import RecomputedWork
from ..calc.sharding import Mesh
from ..calc.walk import Conventions
from ..calc.work import works
from ..core.architecture import Architecture
from ..core.arrays import Number
from ..core.ledger import rows
from ..core.record import by_layer, changed, record
from ..core.workload import Workload
from ..kernels import kernels
from ..kernels.cost import ACTIVATION_BYTES
from ..kernels.exchange import training_exchange_seconds
from ..kernels.layer_operations import operations
from ..kernels.operations import Gemm, Operation
from ..kernels.transfers import collective_seconds, message_bytes
from .kernels import Passes, TrainingKernels

FORWARD_PASS, BACKWARD_PASS, RECOMPUTATION = "forward", "backward", "recomputation"
COMMUNICATION, REPLICAS, BUBBLE, OPTIMIZER = "communication", "replicas", "pipeline bubble", "optimizer"
NO_RECOMPUTATION, SELECTIVE, FULL = "none", "selective", "full"
RESIDUAL_BYTES = 3 * ACTIVATION_BYTES  # of a residual addition: two reads and a write
DP, PP = "dp", "pp"
CONVENTIONS = Conventions("prefill", "causal", None, "all")


@record
class TrainingLayout:
    """How a step is divided over the GPUs.

    Attributes:
        mesh: number of ranks, ZeRO stage and micro-batches of each data-parallel rank.
        micro_batch: sequences of a micro-batch.
        recompute: what the backward pass computes again, in the words of ``calc/memory/recomputation.py``.
    """

    mesh: Mesh
    micro_batch: int
    recompute: str

    @property
    def sequences(self) -> int:
        """Number of sequences of a step on all GPUs."""
        return self.micro_batch * self.mesh.batches * self.mesh.dp


@record
class TrainingStep:
    """Time of one training step on a layout.

    Attributes:
        layout: how the step is divided over the GPUs.
        seconds: time of the step.
        parts: seconds of the slowest rank, which add up to ``seconds``.
        hidden: seconds of collectives of replicas during the computation.
    """

    layout: TrainingLayout
    seconds: float
    parts: Mapping[str, float]
    hidden: float


_KnownPasses = dict[tuple[object, ...], tuple[Passes, Operation, Operation]]


class _Stage:
    """Times of one micro-batch on a pipeline stage, and of a step outside the micro-batches. Stages share ``known``."""

    def __init__(
        self,
        part: Architecture,
        model: TrainingKernels,
        layout: TrainingLayout,
        values: dict[str, Any],
        known: _KnownPasses,
    ) -> None:
        self.part, self.model, self.layout, self.mesh, self.known = part, model, layout, layout.mesh, known
        self.values = {**values, "b": values["b"] / self.mesh.cp}  # of the tokens of a context-parallel rank
        self.tokens = self.values["b"] * self.values["q"]
        self.parts = dict.fromkeys((FORWARD_PASS, BACKWARD_PASS, RECOMPUTATION, COMMUNICATION), 0.0)
        self.recomputed = RecomputedWork(works(part, CONVENTIONS), layout.recompute, layout.mesh.virtual_stages)

    def compute(self) -> None:
        """Add the times of all operations of a micro-batch."""
        found = (operations(self.part, self.mesh, CONVENTIONS, training) for training in (False, True))
        logits = 0
        for operation, both in zip(*found, strict=True):
            in_block = operation.place.entry.run is not None
            key = (in_block, *map(id, operation.sizes), *map(id, both.sizes))
            if key not in self.known:  # keeps the operations, so that their ids stay unique
                self.known[key] = self.model.passes(operation, both, self.values), operation, both
            passes = self.known[key][0]
            self.parts[FORWARD_PASS] += passes.forward * operation.count
            self.parts[BACKWARD_PASS] += passes.backward * operation.count
            share = self.recomputed.share(operation.works, self.values)
            self.parts[RECOMPUTATION] += share * passes.forward * operation.count
            if isinstance(operation, Gemm) and not in_block:
                logits = max(logits, operation.columns)
        self.parts[BACKWARD_PASS] += self.model.loss(self.tokens * logits)
        for stack in self.part.stacks:
            added = sum(run.count * len(run.block.sublayers) for run in stack.runs)
            elements = added * self.tokens * stack.d_model / (self.mesh.tp if self.mesh.sp else 1)
            for name in (FORWARD_PASS, BACKWARD_PASS):
                self.parts[name] += self.model.moving(elements * RESIDUAL_BYTES)

    def exchange(self, collectives: tuple[Collective, ...], values: Mapping[str, Number]) -> float:
        """Add the times of the collectives of a micro-batch, and return those of replicas in a step."""
        replicas = 0.0
        for each in collectives:
            moved = message_bytes(self.model, each, each.elements, values)
            if each.group == DP:
                replicas += each.times * replica_seconds(self.model, each, moved)
                continue
            is_repeated = each.phase == FORWARD and each.group != PP
            repeats = 1 + (self.recomputed.share_of_collectives(each.place) if is_repeated else 0)
            if each.kind == ALL_TO_ALL and each.place and each.ranks > self.model.accelerator.node:
                seconds = training_exchange_seconds(self.model, each, values)
            else:
                seconds = collective_seconds(self.model, each, moved)
            self.parts[COMMUNICATION] += repeats * (each.times * float(seconds)) / self.mesh.batches
        return replicas

    @property
    def seconds(self) -> float:
        """Time of a micro-batch."""
        return sum(self.parts.values())

    def optimizer(self, state_bytes: float) -> float:
        """Return the time of the optimizer step, with ``state_bytes`` of states and master copy per parameter.

        It reads the gradients twice, once for their norm, and writes the weights.
        """
        return self.model.moving(sum(self._trained()) * (2 * state_bytes + 3 * ACTIVATION_BYTES))

    def _trained(self) -> Iterator[float]:
        """Yield the numbers of parameters that a rank updates."""
        for row in rows(self.part.stacks):
            if not (row.tensor.buffer or row.entry.stack.frozen):
                own = self.mesh.share_of_weight(row.tensor, row.declaration, row.size) * row.copies
                replicas = self.mesh.expert_replicas if row.tensor.active else self.mesh.replicas
                yield own / (replicas if self.mesh.zero >= SHARDS_OPTIMIZER else 1)


def replica_seconds(model: TrainingKernels, each: Collective, moved: Number) -> float:
    """Return the time of a collective of replicas.

    Over several nodes, each of its ranks in a node has a network adapter for a part of the ring.
    """
    node, ranks = model.accelerator.node, each.ranks
    apart = max(model.mesh.ranks // model.mesh.pp // ranks, 1)  # ranks between two members of the group
    local = max(min(ranks, node // apart), 1)
    if ranks <= local:
        return float(collective_seconds(model, each, moved, ranks * apart))
    device, own = model.device.between(node), model.coefficients("collectives", each.kind)
    link = min(device.link, device.network * local)
    measured = min(ranks, node)
    seconds = kernels.collective(each.kind, measured, moved, changed(device, link=link), own)
    return float(seconds * (1 - 1 / ranks) / (1 - 1 / measured))


def training_step(
    architecture: Architecture, model: TrainingKernels, layout: TrainingLayout, seq: int, state_bytes: float
) -> TrainingStep:
    """Return the time of a training step.

    Args:
        architecture: the model.
        model: times of the kernels on the mesh of the layout.
        layout: how the step is divided over the GPUs.
        seq: tokens per sequence.
        state_bytes: bytes of optimizer states and master copy per parameter.
    """
    mesh, n_batches = layout.mesh, layout.mesh.batches
    workload = Workload(batch=layout.micro_batch, seq=seq, mode="train", extend=True)
    values = workload.values(architecture)
    bits = ACTIVATION_BYTES * BITS_A_BYTE
    exchanged = communication(architecture, workload, mesh, bits, bits, uneven=True).stages
    stages, replicas, passes, known = [], [], _KnownPasses(), dict[object, dict[str, float]]()
    for training in (False, True):
        operations(architecture, mesh, CONVENTIONS, training)  # remembered with the layers, which the stages share
    for part, collectives in zip(pipeline_stages(architecture, mesh.pp, uneven=True), exchanged, strict=True):
        vars(part).update(by_layer(architecture))
        stage, layers = _Stage(part, model, layout, values, passes), layers_of(part)
        if (same := known.get(layers)) is None:
            stage.compute()
            same = known[layers] = dict(stage.parts)
        stage.parts = dict(same)
        replicas.append(stage.exchange(collectives, values))
        stages.append(stage)
    slowest = max(stages, key=lambda stage: stage.seconds)
    bubble = (sum(stage.seconds for stage in stages) - slowest.seconds) / mesh.virtual_stages
    computed = slowest.seconds - slowest.parts[COMMUNICATION]
    during = computed * (n_batches if mesh.zero >= SHARDS_GRADIENTS else 1)  # else in the first and last micro-batch
    parts = {name: n_batches * seconds for name, seconds in slowest.parts.items()}
    parts |= {BUBBLE: bubble, REPLICAS: max(max(replicas) - during, 0.0)}
    parts[OPTIMIZER] = max(stage.optimizer(state_bytes) for stage in stages)
    parts = {name: seconds for name, seconds in parts.items() if seconds}
    return TrainingStep(layout, sum(parts.values()), parts, min(max(replicas), during))
