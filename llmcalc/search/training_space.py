"""Layouts of a training step as arrays, with their time and their memory.

Layouts with equal ranks of tensor, sequence, expert and context parallelism and as many stages share the operations and
collectives of a micro-batch, which are computed once for each size of a micro-batch. What else differs is an axis of
an array each:

micro-batch           operations and collectives of a pass, and the number of micro-batches
recomputation         what runs again, and the saved tensors
virtual stages        what is sent between stages, the bubble, and the micro-batches in flight
ZeRO and its groups   collectives of replicas, the optimizer, and the memory of states
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from copy import copy
from functools import cache
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

import numpy as np

from ..calc.collectives import BACKWARD, FORWARD, SEND, UPDATE, Collective
from ..calc.communication import replica_collectives, stage_collectives
from ..calc.memory.number_formats import BITS_A_BYTE
from ..calc.memory.pipeline import one_f_one_b_in_flight
from ..calc.memory.recomputation import NONE
from ..calc.memory.zero import SHARDS_GRADIENTS, SHARDS_OPTIMIZER
from ..calc.pipeline_stages import layers_of, pipeline_stages
from ..calc.recomputed_work import RecomputedWork
from ..calc.sharding import Mesh
from ..calc.touched_experts import expert_layers
from ..calc.work import works_by_layer
from ..core.architecture import Architecture
from ..core.errors import LlmcalcError
from ..core.record import NamedTuple, by_layer, changed, record
from ..core.workload import Workload
from ..fitting.layouts import divisors
from ..inputs.training_settings import LAYOUT_NAMES
from ..kernels.cost import ACTIVATION_BYTES
from ..kernels.layer_operations import layer_operations
from ..kernels.operations import Gemm, Operation
from ..training.kernels import TrainingKernels
from ..training.layouts import kernels_on
from ..training.programs import coefficients
from ..training.run import Run
from ..training.schedule import Shape, StageWork, Work, schedule
from ..training.step import (
    CONVENTIONS,
    DP,
    PP,
    TrainingLayout,
    exchange_seconds,
    optimizer_seconds,
    outside_operations,
    replica_seconds,
    shape_of,
)
from .stage_peaks import Replicas, StagePeaks

RECOMPUTATIONS = "none", "selective", "full"
MOST_SEQUENCES = 64  # of a micro-batch
BITS = ACTIVATION_BYTES * BITS_A_BYTE
TWICE = 2  # micro-batches and virtual stages of a step whose collectives are counted, to tell which of them repeat
FIELDS = {group: Work._fields.index("tp" if group == "etp" else group) for group in ("tp", "etp", "ep", "cp")}
CALLS = Work._fields.index("calls")
LEAST_TOKENS = 1024  # of a sequence on a context-parallel rank


@record
class Layouts:
    """Layouts with the time of a step and the memory of the largest stage, each as an array.

    Attributes:
        columns: arguments of ``step_time`` by name. ``etp`` and ``zero_group`` are 0 where they are not given.
        seconds: time of the step.
        memory_bytes: peak memory of the largest stage.
    """

    columns: Mapping[str, Any]
    seconds: Any
    memory_bytes: Any

    def __len__(self) -> int:
        return len(self.seconds)

    def taken(self, chosen: Any) -> Layouts:
        """Return chosen layouts, by a mask or by their numbers."""
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return Layouts(columns, self.seconds[chosen], self.memory_bytes[chosen])

    def ordered(self, *values: str) -> Layouts:
        """Return the layouts in the order of some of their values, the smallest of the first one first."""
        return self.taken(np.lexsort([getattr(self, name) for name in reversed(values)]))

    def front(self) -> Layouts:
        """Return the layouts with the shortest time at each memory, the fastest first."""
        own = self.ordered("seconds", "memory_bytes")
        before = np.minimum.accumulate([np.inf, *own.memory_bytes[:-1]])[: len(own)]
        return own.taken(own.memory_bytes < before)

    def first_with(self, settings: Mapping[str, Any]) -> int | None:
        """Return the number of the first layout with some settings, or None if there is none."""
        mask = np.ones(len(self), bool)
        for name, value in settings.items():
            mask &= self.columns[name] == (value or 0)
        return int(mask.argmax()) if mask.any() else None

    def row(self, at: int) -> dict[str, Any]:
        """Return the arguments of a layout by name, without those that are not given."""
        found = {name: column[at].item() for name, column in self.columns.items()}
        return {name: value for name, value in found.items() if value or name not in ("etp", "zero_group")}


class Shard(NamedTuple):
    """What layouts with the same operations share: ranks that divide tensors, or have tokens of their own."""

    tp: int
    sp: bool
    ep: int
    etp: int | None

    def mesh(self, **others: Any) -> Mesh:
        """Return a mesh with these ranks."""
        sizes = {"dp": self.ep, **self._asdict(), **others}
        return Mesh(**sizes)


@record
class TrainingSpace:
    """Layouts of a training step on all GPUs of a run.

    Attributes:
        run: the model, its GPUs, and the sizes of the step.
        fixed: values of settings that do not vary, by name.
        most: largest values of settings, by name.
    """

    run: Run
    fixed: Mapping[str, Any] = {}
    most: Mapping[str, int] = {}
    recomputations: tuple[str, ...] = RECOMPUTATIONS

    def allowed(self, name: str, values: Iterator[Any] | list[Any]) -> list[Any]:
        """Return the values of a setting that may be tried."""
        fixed, most = self.fixed.get(name), self.most.get(name)
        return [
            value for value in values
            if (fixed is None or (value or 0) == (fixed or 0)) and (most is None or (value or 0) <= most)
        ]  # fmt: skip

    def shards(self) -> Iterator[tuple[Shard, int, int]]:
        """Yield the ranks that divide operations, with numbers of context-parallel ranks and of stages."""
        run, machine = self.run, self.run.machine
        assert machine is not None
        count, node, n_layers = machine.count, machine.accelerator.node, run.architecture.main.n_layers
        experts = {layer.n_experts for layer in expert_layers(run.architecture)}
        tensor = [tp for tp in divisors(count) if tp <= node or tp == self.fixed.get("tp")]
        for tp in self.allowed("tp", tensor):
            contexts = [
                cp for cp in divisors(count // tp)
                if run.seq % (2 * cp if cp > 1 else 1) == 0 and (cp == 1 or run.seq // cp >= LEAST_TOKENS)
            ]  # fmt: skip
            for cp in self.allowed("cp", contexts):
                for pp in self.allowed("pp", [pp for pp in divisors(count // tp // cp) if pp <= n_layers]):
                    dp = count // (tp * cp * pp)
                    if run.step_sequences % dp or not self.allowed("dp", [dp]):
                        continue
                    for ep, etp in self._expert_ranks(experts, tp, dp):
                        for sp in self.allowed("sp", [False] if tp == 1 else [True] if ep > 1 else [False, True]):
                            yield Shard(tp, sp, ep, etp), cp, pp

    def _expert_ranks(self, experts: set[int], tp: int, dp: int) -> Iterator[tuple[int, int | None]]:
        """Yield numbers of expert-parallel ranks, with those of tensor-parallel ranks of an expert if they differ."""
        ranks = [ep for ep in divisors(dp * tp) if not any(each % ep for each in experts)] if experts else [1]
        for ep in self.allowed("ep", ranks):
            sizes: list[int | None] = [None] if dp % ep == 0 else []
            for etp in self.allowed("etp", [*sizes, *([1] if ep > 1 and (tp > 1 or not sizes) else [])]):
                yield ep, etp

    def layouts(self) -> Iterator[Layouts]:
        """Yield the layouts in groups, with their times and memory. Ranks that do not divide the model are left out."""
        known = dict[Shard, _SharedWork | None]()
        for shard, cp, pp in self.shards():
            if shard not in known:
                try:
                    known[shard] = _SharedWork(self, shard)
                except LlmcalcError:
                    known[shard] = None
            if (shared := known[shard]) is not None:
                try:
                    yield from shared.layouts(cp, pp)
                except LlmcalcError:  # stages without layers, or context parallelism that is not modelled
                    continue

    def joined(self) -> Layouts:
        """Return all layouts."""
        found = [*self.layouts()]
        columns = {name: np.concatenate([each.columns[name] for each in found] or [[]]) for name in LAYOUT_NAMES}
        numbers = (
            np.concatenate([getattr(each, name) for each in found] or [[]]) for name in ("seconds", "memory_bytes")
        )
        return Layouts(columns, *numbers)

    def sizes(self, dp: int) -> list[int]:
        """Return the sizes of micro-batches on a number of data-parallel ranks."""
        each = self.run.step_sequences // dp
        return self.allowed("micro_batch", [size for size in divisors(each) if size <= MOST_SEQUENCES])

    def zeros(self, dp: int, cp: int, ep: int) -> list[tuple[int, int]]:
        """Return ZeRO stages with the number of ranks of a group, or 0 for all ranks."""
        stages = self.allowed("zero", [0, 1, 2, 3] if dp * cp > 1 else [0])
        groups = (
            [cp * each for each in divisors(dp) if 1 < cp * each < cp * dp and each % ep == 0] if 3 in stages else []
        )
        found = [(zero, 0) for zero in stages] + [(3, group) for group in groups]
        kept = self.allowed("zero_group", [group for _, group in found])
        return [each for each in found if each[1] in kept]


class _SharedWork:
    """Operations and memory of layouts whose ranks divide tensors in the same way."""

    def __init__(self, space: TrainingSpace, shard: Shard) -> None:
        self.space, self.run, self.shard = space, space.run, shard
        self.model = kernels_on(self.run, shard.mesh())
        self.workload = Workload(batch=1, seq=self.run.seq, mode="train", extend=True)
        self.values = self.workload.values(self.run.architecture)
        self.trained = self.run.trained.worst
        self.gradient_bits = self.model.execution.gradient_bits
        self.recomputations = space.allowed("recompute", list(space.recomputations))
        self._passes: dict[object, Any] = {}
        self._parts: dict[object, Any] = {}
        _operations(self.run.architecture, shard.mesh())  # remembered for all stages

    def layouts(self, cp: int, pp: int) -> Iterator[Layouts]:
        """Yield the layouts on a number of context-parallel ranks and of stages."""
        run, shard, space = self.run, self.shard, self.space
        assert run.machine is not None
        count = run.machine.count
        dp = count // (shard.tp * cp * pp)
        sizes, zeros = space.sizes(dp), space.zeros(dp, cp, shard.ep)
        n_layers = -(-run.architecture.main.n_layers // pp)
        chunks = space.allowed("virtual_stages", divisors(n_layers) if pp > 1 else [1])
        if not (sizes and zeros and chunks and self.recomputations):
            return
        mesh = shard.mesh(dp=dp, cp=cp, pp=pp)
        axes = np.ix_(sizes, range(len(self.recomputations)), chunks, range(len(zeros)))
        micro_batch, policy, chunk, at = axes
        zero, group = (np.array(column)[at] for column in zip(*zeros, strict=True))
        n_batches = run.step_sequences // dp // micro_batch
        seconds = self._seconds(mesh, micro_batch, chunk, zeros, n_batches)
        memory = self._memory(mesh, micro_batch, chunk, zero, group, n_batches)
        shape = np.broadcast_shapes(*(axis.shape for axis in axes))
        mask = np.broadcast_to((chunk == 1) | (n_batches % pp == 0), shape)
        names = np.array(self.recomputations)
        own = {
            "tp": shard.tp, "pp": pp, "dp": dp, "cp": cp, "ep": shard.ep, "etp": shard.etp or 0, "sp": shard.sp,
            "virtual_stages": chunk, "micro_batch": micro_batch, "recompute": names[policy], "zero": zero,
            "zero_group": group,
        }  # fmt: skip
        columns = {name: np.broadcast_to(own[name], shape)[mask] for name in LAYOUT_NAMES}
        yield Layouts(columns, np.broadcast_to(seconds, shape)[mask], np.broadcast_to(memory, shape)[mask])

    # ------------------------------------------------------------------ time

    def _seconds(self, mesh: Mesh, micro_batch: Any, chunk: Any, zeros: list[tuple[int, int]], n_batches: Any) -> Any:
        """Return the time of a step. The axes are micro-batches, recomputations, virtual stages and ZeRO."""
        run, machine, program = self.run, self.run.machine, self.run.program
        assert machine is not None
        model, sizes = _on(self.model, mesh), micro_batch.ravel()
        doubled = changed(mesh, micro_batches=TWICE, virtual_stages=TWICE if mesh.pp > 1 else 1)
        found = stage_collectives(run.architecture, self.workload, doubled, BITS, self.gradient_bits, uneven=True)
        stages = {id(collectives): (part, collectives) for part, collectives in found}
        numbers = Counter(id(collectives) for _, collectives in found)
        replicas = self._replicas(model, doubled, [part for part, _ in stages.values()], zeros, n_batches)
        divided = [(int(zero >= SHARDS_OPTIMIZER), group) for zero, group in zeros]
        models = [_on(model, changed(mesh, zero=zero)) for zero in (0, SHARDS_OPTIMIZER)]
        values, known, works_of_stages = {**self.values, "b": sizes}, dict[object, Any](), list[StageWork]()
        for (key, (part, collectives)), exchanged in zip(stages.items(), replicas, strict=True):
            own = self._part(part)
            passes = np.stack([own.passes(float(size) / mesh.cp) for size in sizes], axis=-1)  # pass, field, size
            sends: Any = 0.0
            for each in collectives:
                if each.group == DP:
                    continue
                same = *each[2:5], each.factors, each.shards, each.bits, id(each.place and each.place.declaration)
                if same not in known:
                    known[same] = exchange_seconds(model, each, values) + np.zeros(len(sizes))
                seconds, times = known[same], each.times / TWICE
                if each.kind == SEND:
                    sends = sends + _column(seconds) * (chunk - TWICE + times)
                elif each.group == PP:
                    sends = sends + times * TWICE * _column(seconds) / n_batches
                elif each.phase != UPDATE:
                    own.add(passes, each, times, seconds)
            forward, backward, *again = (Work(*(_column(field) for field in each)) for each in passes)
            joined = Work(*(np.concatenate(columns, axis=1) for columns in zip(*again, strict=True)))
            own_seconds = {
                (at, group): optimizer_seconds(models[at], part, run.state_bytes, group) for at, group in {*divided}
            }
            optimizer = np.array([own_seconds[each] for each in divided])
            works_of_stages.append(StageWork(forward, backward, joined, sends, exchanged, optimizer, numbers[key]))
        gathers = np.array([int(zero >= SHARDS_GRADIENTS) for zero, _ in zeros])
        shape = Shape(n_batches, chunk, gathers, shape_of(TrainingLayout(mesh, 1, NONE), machine.accelerator.node)[-1])
        factor = program.factor_on(machine.accelerator, machine.number_format)
        return factor * schedule(works_of_stages, shape, coefficients(), program.overlaps).seconds

    def _replicas(
        self,
        model: TrainingKernels,
        mesh: Mesh,
        parts: list[Architecture],
        zeros: list[tuple[int, int]],
        n_batches: Any,
    ) -> list[Any]:
        """Return the times of the collectives of replicas on each stage."""
        found = []
        for zero, own in groupby(zeros, key=itemgetter(0)):
            alike = dict[tuple[Any, ...], list[tuple[int, Collective]]]()
            for stage, part in enumerate(parts):
                for each in replica_collectives(part, changed(mesh, zero=zero), BITS, self.gradient_bits):
                    alike.setdefault((each.kind, each.ranks, each.tensor, each.times), []).append((stage, each))
            for _, group in own:
                total: Any = np.zeros((len(parts), *n_batches.shape))
                for (*_, times), members in alike.items():
                    moved = np.array([each.sizes(self.values)[0] / each.times for _, each in members], float)
                    seconds = replica_seconds(model, members[0][1], moved, group or None)
                    places = np.array([stage for stage, _ in members])
                    of_stages = np.bincount(places, seconds, len(parts))
                    total = total + of_stages[:, None, None, None, None] * (n_batches if times == TWICE else 1)
                found.append(total)
        return [*np.concatenate(found, axis=-1)]

    def _part(self, part: Architecture) -> _Part:
        return self._parts.setdefault(layers_of(part), None) or self._new_part(part)

    def _new_part(self, part: Architecture) -> _Part:
        vars(part).update(by_layer(self.run.architecture))
        found = self._parts[layers_of(part)] = _Part(self, part)
        return found

    def passes_of(self, operation: Operation, both: Operation, sequences: float) -> Any:
        """Return the forward and the backward pass of an operation as an array."""
        key = (operation.place.entry.run is not None, sequences, *map(id, operation.sizes), *map(id, both.sizes))
        if key not in self._passes:  # keeps the operations, so that their ids stay unique
            found = self.model.passes(operation, both, {**self.values, "b": sequences})
            self._passes[key] = np.array(found), operation, both
        return self._passes[key][0]

    # ------------------------------------------------------------------ memory

    def _memory(self, mesh: Mesh, micro_batch: Any, chunk: Any, zero: Any, group: Any, n_batches: Any) -> Any:
        """Return the peak memory of the largest stage, with the axes of the time."""
        dense = np.where(group > 0, group, mesh.replicas)
        replicas = Replicas(zero, dense, np.maximum(dense * mesh.tp // (mesh.ep * mesh.expert_tp), 1), mesh.pp > 1)
        parts = dict[object, tuple[int, Architecture]]()  # of equal stages, the first has the most in flight
        for stage, part in enumerate(pipeline_stages(self.run.architecture, mesh.pp)):
            parts.setdefault(layers_of(part), (stage, part))
        others = {key: self._others(mesh.pp, stage, n_batches, chunk) for key, (stage, _) in parts.items()}
        found = []
        for name in self.recomputations:
            most: Any = 0
            for key, (_, part) in parts.items():
                if (key, name) not in self._parts:
                    policy, recipe = changed(self.trained.policy, recompute=name), self.trained.recipe
                    self._parts[key, name] = StagePeaks(part, self.run.seq, policy, recipe, self.shard.mesh())
                peaks = self._parts[key, name].peaks(micro_batch / mesh.cp, n_batches, others[key], replicas)
                most = np.maximum(most, peaks)
            found.append(most)
        return np.concatenate(found, axis=1)

    def _others(self, pp: int, stage: int, n_batches: Any, chunk: Any) -> Any:
        """Return how many other micro-batches are in flight on a stage."""
        if pp == 1:
            return 0.0
        chunks, batches = chunk.ravel().tolist(), n_batches.ravel().tolist()
        found = [[_in_flight(pp, stage, number, each) for each in chunks] for number in batches]
        return np.array(found)[:, None, :, None] - 1


@cache
def _in_flight(pp: int, stage: int, n_batches: int, chunks: int) -> float:
    """Return the number of micro-batches in flight on a stage."""
    held, own = one_f_one_b_in_flight(Mesh(pp=pp, micro_batches=n_batches, virtual_stages=chunks), stage)
    return held / own


class _Part:
    """Operations of a pipeline stage, counted once for each recomputation."""

    def __init__(self, shared: _SharedWork, part: Architecture) -> None:
        self.shared, self.part, mesh = shared, part, shared.shard.mesh()
        self.operations = _operations(part, mesh)
        works = [*chain.from_iterable(works_by_layer(part, CONVENTIONS))]
        self.recomputed = [RecomputedWork(works, name) for name in shared.recomputations]
        self.counts = np.array([operation.count for operation, _ in self.operations], float)
        self.shares = np.array([
            [each.share(operation.works, shared.values) for operation, _ in self.operations] for each in self.recomputed
        ])  # fmt: skip
        outside = (own.columns for own, _ in self.operations if isinstance(own, Gemm) and own.place.entry.run is None)
        self.logits = max(outside, default=0)
        self._passes = dict[float, Any]()

    def passes(self, sequences: float) -> Any:
        """Return the fields of the forward pass, the backward pass, and each recomputation, as rows."""
        if sequences not in self._passes:
            found = np.stack([self.shared.passes_of(one, both, sequences) for one, both in self.operations])
            forward, backward = np.tensordot(self.counts, found, 1)
            tokens = sequences * self.shared.values["q"]
            for own in outside_operations(self.part, self.shared.model, self.logits, tokens):
                forward, backward = forward + own[0], backward + own[1]
            again = (self.shares * self.counts) @ found[:, 0]
            self._passes[sequences] = np.stack([forward, backward, *again])
        return self._passes[sequences]

    def add(self, passes: Any, each: Collective, times: float, seconds: Any) -> None:
        """Add the time of a collective, and its number, to the passes in which it is executed."""
        shares = [0.0] * len(passes)
        shares[(FORWARD, BACKWARD).index(each.phase)] = 1.0
        if each.phase == FORWARD:
            shares[2:] = [own.share_of_collectives(each.place) for own in self.recomputed]
        for at, share in enumerate(shares):
            if share:
                passes[at, FIELDS[each.group]] += share * times * seconds
                passes[at, CALLS] += share * times


def _operations(part: Architecture, mesh: Mesh) -> list[tuple[Operation, Operation]]:
    """Return the operations of a stage in the forward pass, with those of both passes."""
    found = []
    for layer in works_by_layer(part, CONVENTIONS):
        own, both = (layer_operations(part, layer, mesh, training) for training in (False, True))
        for (numbers, operation), (_, of_training) in zip(own, both, strict=True):
            works = tuple(map(layer.__getitem__, numbers))
            found.append((changed(operation, place=layer[0].place, works=works), of_training))
    return found


def _on(model: TrainingKernels, mesh: Mesh) -> TrainingKernels:
    """Return the model of the kernels with more replicas or stages, which compute the same operations."""
    found = copy(model)
    found.mesh = mesh
    return found


def _column(values: Any) -> Any:
    """Return values as the first axis of the layouts, that of micro-batches."""
    return values[:, None, None, None]
