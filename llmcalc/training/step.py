"""Time of a training step on a layout.

operations of a stage   forward, backward and, with recomputation, forward again: ``kernels.py``
collectives of a stage  those of ``calc/communication.py``, with the measured rates of serving
time of the step        what runs at once, and the schedule of the pipeline: ``schedule.py``
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from math import log2

from ..calc.collectives import ALL_TO_ALL, BACKWARD, FORWARD, SEND, UPDATE, Collective
from ..calc.communication import WEIGHTS, communication, trained_weights
from ..calc.memory.number_formats import BITS_A_BYTE
from ..calc.memory.zero import SHARDS_GRADIENTS, SHARDS_OPTIMIZER
from ..calc.pipeline_stages import layers_of, pipeline_stages
from ..calc.recomputed_work import RecomputedWork
from ..calc.sharding import Mesh
from ..calc.walk import Conventions
from ..calc.work import Work as EquationWork
from ..calc.work import works_by_layer
from ..core.architecture import Architecture
from ..core.arrays import Number
from ..core.ledger import model_rows
from ..core.record import by_layer, changed, record, remembered
from ..core.type_names import Any
from ..core.workload import Workload
from ..kernels import kernels
from ..kernels.cost import ACTIVATION_BYTES
from ..kernels.efficiency import Efficiency
from ..kernels.exchange import training_exchange_seconds
from ..kernels.layer_operations import layer_operations
from ..kernels.operations import Gemm, Operation
from ..kernels.transfers import collective_seconds, message_bytes
from .kernels import Passes, TrainingKernels
from .schedule import (
    BACKWARD_PASS,
    BUBBLE,
    COMMUNICATION,
    FORWARD_PASS,
    OPTIMIZER,
    RECOMPUTATION,
    REPLICAS,
    REST,
    Overlaps,
    Shape,
    StageWork,
    TrainingCoefficients,
    Work,
    schedule,
)

TP, EP, ETP, CP = GROUPS = "tp", "ep", "etp", "cp"  # of the collectives of a pass
NEGLIGIBLE = 1e-12  # share of a step that is a rounding error
DP, PP = "dp", "pp"
DEEPEP = "deepep"
CONVENTIONS = Conventions("prefill", "causal", None, "all")


@record
class TrainingLayout:
    """How a step is divided over the GPUs.

    Attributes:
        mesh: number of ranks, ZeRO stage and micro-batches of each data-parallel rank.
        micro_batch: sequences of a micro-batch.
        recompute: what the backward pass computes again, in the words of ``calc/memory/recomputation.py``.
        zero_group: data-parallel ranks that share the weights with ZeRO-3, or None for all.
    """

    mesh: Mesh
    micro_batch: int
    recompute: str
    zero_group: int | None = None

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
        passes: seconds of the forward and the backward pass of a micro-batch on each pipeline stage.
    """

    layout: TrainingLayout
    seconds: float
    parts: Mapping[str, float]
    hidden: float
    passes: tuple[tuple[float, float], ...]


Exchanged = dict[tuple[str, str], float]  # seconds by phase and group, and the number of calls of a phase
_LayerPasses = list[tuple[list[int], Operation, Passes]]  # with the numbers of the equations of an operation
_KnownPasses = dict[tuple[bool, int], tuple[object, _LayerPasses, Mapping[tuple[str, str], Efficiency]]]


class _Stage:
    """Work of one micro-batch on a pipeline stage, and of a step outside the micro-batches. Stages share ``known``."""

    def __init__(
        self, part: Architecture, model: TrainingKernels, layout: TrainingLayout, values: dict[str, Any],
        known: _KnownPasses,
    ) -> None:  # fmt: skip
        self.part, self.model, self.layout, self.mesh, self.known = part, model, layout, layout.mesh, known
        self.values = {**values, "b": values["b"] / self.mesh.cp}  # of the tokens of a context-parallel rank
        self.tokens = self.values["b"] * self.values["q"]
        self.layers = own = works_by_layer(part, CONVENTIONS)
        policy = layout.recompute, layout.mesh.virtual_stages
        _, self.recomputed = remembered(  # keeps the layers, so that their ids stay unique
            part, "_recomputed", (id(own), *policy), lambda: (own, RecomputedWork([*chain.from_iterable(own)], *policy))
        )

    def computed(self) -> tuple[Work, Work, Work]:
        """Return the work of all operations of a micro-batch in each pass."""
        found, times, again, logits = list[Passes](), list[float](), list[float](), 0
        for layer in self.layers:
            entry = layer[0].entry
            for numbers, operation, passes in self.passes(layer):
                found.append(passes)
                times.append(entry.applied)
                again.append(entry.applied * self.recomputed.share([layer[each] for each in numbers], self.values))
                if isinstance(operation, Gemm) and entry.run is None:
                    logits = max(logits, operation.columns)
        others = [*outside_operations(self.part, self.model, logits, self.tokens)]
        none, once = [0.0] * len(others), [1.0] * len(others)
        forward, backward = zip(*found, *others, strict=True)
        times, again = [*times, *once], [*again, *none]
        return Work.total(forward, times), Work.total(backward, times), Work.total(forward, again)

    def passes(self, layer: list[EquationWork]) -> _LayerPasses:
        """Return the operations of a layer with the numbers of their equations and their work, found once for equal
        layers.
        """
        place = layer[0].place
        own, both = (layer_operations(self.part, layer, self.mesh, training) for training in (False, True))
        key = place.entry.run is None, id(own)
        if key not in self.known:
            others, self.model.efficiencies = self.model.efficiencies, {}
            found = _LayerPasses()
            for (numbers, operation), (_, of_training) in zip(own, both, strict=True):
                placed = changed(operation, place=place)
                found.append((numbers, placed, self.model.passes(placed, of_training, self.values)))
            self.known[key] = own, found, self.model.efficiencies  # keeps the operations, so that ids stay unique
            self.model.efficiencies = others
        _, found, used = self.known[key]
        self.model.efficiencies |= used
        return found

    def exchanged(self, collectives: Sequence[Collective], values: Mapping[str, Number]) -> Exchanged:
        """Return the seconds of the collectives of a micro-batch, and those of replicas in a step."""
        found: Exchanged = {}
        for each in collectives:
            seconds = float(exchange_seconds(self.model, each, values, self.layout.zero_group))
            if each.group == DP and each.phase == UPDATE:  # ZeRO-3 also gathers frozen weights
                seconds *= self.trained_share
            times = each.times if each.group == DP else each.times / self.mesh.batches
            phases = {each.phase: 1.0} if each.group in GROUPS else {"": 1.0}
            if each.phase == FORWARD and each.group in GROUPS:
                phases[RECOMPUTATION] = self.recomputed.share_of_collectives(each.place)
            for phase, share in phases.items():
                found[phase, each.group] = found.get((phase, each.group), 0.0) + share * times * seconds
                if each.group in GROUPS:
                    found[phase, ""] = found.get((phase, ""), 0.0) + share * times
        return found

    @cached_property
    def trained_share(self) -> float:
        """Share of the parameters that are trained."""
        adapters = self.model.execution.adapters
        if adapters is None:
            return 1.0
        whole = sum(row.size * row.copies for row in model_rows(self.part))
        return sum(adapters.elements(row) * row.copies for row in model_rows(self.part)) / max(whole, 1)

    def work(self, collectives: Sequence[Collective], values: Mapping[str, Number], state_bytes: float) -> StageWork:
        """Return the work of the stage, with ``state_bytes`` of optimizer states and master copy per parameter."""
        exchanged = self.exchanged(collectives, values)

        def of(phase: str) -> Work:
            tp = exchanged.get((phase, TP), 0.0) + exchanged.get((phase, ETP), 0.0)
            ep, cp, calls = (exchanged.get((phase, group), 0.0) for group in (EP, CP, ""))
            return Work(calls=calls, tp=tp, ep=ep, cp=cp)

        own = zip(self.computed(), (FORWARD, BACKWARD, RECOMPUTATION), strict=True)
        forward, backward, again = (work.plus(of(phase)) for work, phase in own)
        sends, replicas = exchanged.get(("", PP), 0.0), exchanged.get(("", DP), 0.0)
        return StageWork(forward, backward, again, sends, replicas, self.optimizer(state_bytes))

    def optimizer(self, state_bytes: float) -> float:
        """Return the time of the optimizer step, with ``state_bytes`` of states and master copy per parameter."""
        return optimizer_seconds(self.model, self.part, state_bytes, self.layout.zero_group) * self.trained_share


def outside_operations(part: Architecture, model: TrainingKernels, columns: int, tokens: float) -> Iterator[Passes]:
    """Yield the passes of what no equation describes: the loss, with ``columns`` logits of a token, and the sums of the
    residual streams.
    """
    yield model.loss(tokens * columns)
    for stack in part.stacks:
        sums = sum(run.count * len(run.block.sublayers) for run in stack.runs)
        yield model.summed(sums * tokens * stack.d_model / (model.mesh.tp if model.mesh.sp else 1), sums)


def optimizer_seconds(
    model: TrainingKernels, part: Architecture, state_bytes: float, zero_group: int | None = None
) -> float:
    """Return the time of the optimizer step of all parameters of a stage.

    It reads the gradients twice, once for their norm, and writes the weights. Only ``zero_group`` ranks share states.
    """
    mesh = model.mesh
    replicas = {False: mesh.replicas, True: mesh.expert_replicas}
    if zero_group:
        replicas = {
            is_expert: min(number, max(zero_group // (mesh.ep if is_expert else 1), 1))
            for is_expert, number in replicas.items()
        }
    is_sharded = mesh.zero >= SHARDS_OPTIMIZER
    trained = trained_weights(part, mesh).items()
    updated = sum(own / (replicas[is_expert] if is_sharded else 1) for (_, is_expert, _), (own, _) in trained)
    return float(model.moving(updated * (2 * state_bytes + 3 * ACTIVATION_BYTES)))


def exchange_seconds(
    model: TrainingKernels, each: Collective, values: Mapping[str, Number], zero_group: int | None = None
) -> Number:
    """Return the time of one execution of a collective."""
    moved = message_bytes(model, each, each.elements, values)
    is_plain = each.kind == ALL_TO_ALL and model.execution.dispatcher != DEEPEP
    if is_plain:  # a token is sent to each of its experts, also to several on one rank
        moved = each.elements(**values) / each.times / each.shards * (each.bits / BITS_A_BYTE)
    if each.group == DP:
        return replica_seconds(model, each, moved, zero_group)
    if each.kind == ALL_TO_ALL and each.ranks * model.mesh.expert_tp > model.accelerator.node:
        return training_exchange_seconds(model, each, values, is_plain=is_plain)
    if each.kind != SEND and each.ranks > model.accelerator.node:
        return replica_seconds(model, each, moved)
    return collective_seconds(model, each, moved)


def replica_seconds(model: TrainingKernels, each: Collective, moved: Number, zero_group: int | None = None) -> Number:
    """Return the time of a collective of replicas.

    Over several nodes, each of its ranks in a node has a network adapter for a part of the ring.
    """
    node, ranks = model.accelerator.node, each.ranks
    apart = max(model.mesh.ranks // model.mesh.pp // ranks, 1) if each.group == DP else 1  # between two members
    if zero_group and each.tensor == WEIGHTS and zero_group < ranks:
        ranks = zero_group
        each = each._replace(ranks=ranks)
    local = max(min(ranks, node // apart), 1)
    if ranks <= local:
        return collective_seconds(model, each, moved, ranks * apart)
    device, own = model.device.between(node), model.coefficients("collectives", each.kind)
    link = min(device.link, device.network * local)
    measured = min(ranks, node)
    seconds = kernels.collective(each.kind, measured, moved, changed(device, link=link), own)
    return seconds * (1 - 1 / ranks) / (1 - 1 / measured)


def stage_works(
    architecture: Architecture, model: TrainingKernels, layout: TrainingLayout, seq: int, state_bytes: float
) -> list[StageWork]:
    """Return the work of the distinct pipeline stages.

    Args:
        architecture: the model.
        model: work of the kernels on the mesh of the layout.
        layout: how the step is divided over the GPUs.
        seq: tokens per sequence.
        state_bytes: bytes of optimizer states and master copy per parameter.
    """
    mesh = layout.mesh
    workload = Workload(batch=layout.micro_batch, seq=seq, mode="train", extend=True)
    values = workload.values(architecture)
    bits = ACTIVATION_BYTES * BITS_A_BYTE
    exchanged = communication(architecture, workload, mesh, bits, model.execution.gradient_bits, uneven=True).stages
    passes = remembered(architecture, "_passes", (model.identity, mesh.division, *values.values()), _KnownPasses)
    found = dict[object, StageWork]()
    for part, collectives in zip(pipeline_stages(architecture, mesh.pp, uneven=True), exchanged, strict=True):
        key = layers_of(part), sum(each.group == PP for each in collectives)
        if same := found.get(key):
            found[key] = same._replace(count=same.count + 1)
            continue
        vars(part).update(by_layer(architecture))  # which the stages share
        found[key] = _Stage(part, model, layout, values, passes).work(collectives, values, state_bytes)
        vars(architecture).update(by_layer(part))
    return [*found.values()]


def shape_of(layout: TrainingLayout, node: int) -> Shape:
    """Return the numbers of a layout on which the schedule depends."""
    mesh = layout.mesh
    doublings = log2(max(mesh.ranks / node, 1))
    return Shape(mesh.batches, mesh.virtual_stages, int(mesh.zero >= SHARDS_GRADIENTS), doublings)


def training_step(
    layout: TrainingLayout, stages: Sequence[StageWork], node: int, coefficients: TrainingCoefficients,
    overlaps: Overlaps, factor: float,
) -> TrainingStep:  # fmt: skip
    """Return the time of a training step.

    Args:
        layout: how the step is divided over the GPUs.
        stages: work of the distinct pipeline stages.
        node: number of GPUs in a node.
        coefficients: coefficients that are fitted to published steps.
        overlaps: which collectives the program runs at the same time as kernels.
        factor: time of its steps relative to that of any program.
    """
    shape = shape_of(layout, node)
    found = schedule(stages, shape, coefficients, overlaps)
    slowest = max(found.slots, key=lambda slot: slot.total)
    passes = slowest.forward, slowest.backward, slowest.again, slowest.total - slowest.computed
    names = FORWARD_PASS, BACKWARD_PASS, RECOMPUTATION, COMMUNICATION
    parts = {name: shape.n_batches * seconds for name, seconds in zip(names, passes, strict=True)}
    parts |= {BUBBLE: found.bubble, REPLICAS: found.visible, OPTIMIZER: found.optimizer, REST: found.rest}
    smallest = found.seconds * NEGLIGIBLE
    parts = {name: factor * seconds for name, seconds in parts.items() if seconds > smallest}
    hidden = factor * (found.exchanged - found.visible)
    whole = [(factor * slot.forward, factor * (slot.total - slot.forward)) for slot in found.slots]
    of_stages = tuple(own for own, stage in zip(whole, stages, strict=True) for _ in range(int(stage.count)))
    return TrainingStep(layout, sum(parts.values()), parts, hidden, of_stages)
