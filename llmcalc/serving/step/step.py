"""Time of one forward step of a rank, as the sum of its kernels, collectives, launches and the engine's own work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property, partial

from ...calc.memory.number_formats import Format
from ...calc.sharding import Mesh
from ...core.architecture import Architecture
from ...core.arrays import Number, namespace
from ...core.record import changed
from ...core.type_names import Any
from ...estimate.hardware import Accelerator
from ...kernels.cost import ACTIVATION_BYTES, NO_COST, ClassFormats, Cost, StepTime
from ...kernels.efficiency import Efficiencies, Efficiency, Operands
from ...kernels.kernel_costs import KernelCosts
from ...kernels.kernel_costs import Values as Values
from ...kernels.layer_groups import Key
from ...kernels.operations import Attention, Elementwise, Gemm, GroupedGemm, Operation
from ...kernels.step_operations import (
    DECODE,
    PHASES,
    PREFILL,
    Exchange,
    Group,
    Pair,
    all_pairs,
    cost_key,
    exchanges,
    groups,
    weight_bytes,
)
from ...kernels.transfers import delayed_by_stages, transfers
from .engine_step import FP16, EngineStep, fp16_peak


def step_values(sequences: Number, queries: Number, keys: Number) -> dict[str, Number]:
    """Return the workload symbols of sequences with ``keys`` tokens, including ``queries`` new ones."""
    zero = 0 * keys
    return {"b": sequences, "q": queries, "c": keys - queries, "k": keys, "s": keys, "n": zero, "p": zero, "a": zero}


class StepModel(KernelCosts):
    """Kernels of the steps of one rank, with the coefficients of an accelerator.

    A step computes one new token of sequences that are being decoded, a prefill of other sequences, or both at once.
    Products with the same weights are then computed together.

    With pipeline stages, a step is the way of one batch through all stages, which compute as many batches at once.

    Attributes:
        architecture: the model.
        accelerator: the GPU.
        mesh: layout. ``dp`` ranks have different tokens, and share the experts.
        formats: number formats of the weights.
        cache: number format of keys and values.
        states: bytes per element of recurrent and convolution states, by role.
        engine: time of a step outside the kernels.
        measured: coefficients of all accelerators.
        without: accelerators whose measurements are left out.
        efficiencies: coefficients that any step used, by kind and format of the kernels.
        overlaps: whether the exchange of a half of a batch overlaps with the computation of the other.
        notes: what is assumed about the host.
    """

    overlaps = False
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        architecture: Architecture,
        accelerator: Accelerator,
        mesh: Mesh,
        formats: ClassFormats,
        cache: Format,
        states: Mapping[str, float],
        engine: EngineStep,
        measured: Efficiencies,
        without: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(accelerator, mesh, cache, states, measured, without)
        self.architecture, self.engine, self.formats = architecture, engine, formats
        self._operands: dict[str, Operands] = {}
        self._known: dict[int, tuple[float, tuple[Cost, Any], dict[tuple[str, str], Efficiency]]] = {}
        self._groups: dict[tuple[str, ...], dict[Key, Group]] = {}

    @property
    def groups(self) -> dict[Key, Group]:
        """Operations of both phases with the same cost."""
        return self.groups_of(PHASES)

    def groups_of(self, phases: Collection[str]) -> dict[Key, Group]:
        """Return the operations of a step with the same cost, at least those of the given phases."""
        own = self._grouped_phases(phases)
        if own not in self._groups:
            self._groups[own] = groups(self.architecture, self.mesh, self.formats, own)
        return self._groups[own]

    def _grouped_phases(self, phases: Collection[str]) -> tuple[str, ...]:
        """Return the phases whose operations are found for a step: its own, or both if those are known."""
        return PHASES if PHASES in self._groups else tuple(phase for phase in PHASES if phase in phases)

    @cached_property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Collectives of both phases."""
        return self.exchanges_of(PHASES)

    def exchanges_of(self, phases: Collection[str]) -> tuple[Exchange, ...]:
        """Return the collectives of a step, at least those of the given phases."""
        own = self._grouped_phases(phases)
        return exchanges(self.architecture, self.mesh, 8 * ACTIVATION_BYTES, own)

    @property
    def paired(self) -> list[Pair]:
        """Operations of prefill and decode steps with the same weights, of the phases that are known or of both."""
        return all_pairs(self.architecture, self.mesh, next(iter(self._groups), PHASES))

    # ------------------------------------------------------------------ coefficients

    def kernel_library(self, kind: str) -> str:
        """Return the library of a kind of kernels in the engine, or an empty string."""
        return self.engine.libraries.get(kind, "")

    def operands(self, operation: Operation) -> Operands:
        """Return how the accelerator computes with the weights of an operation."""
        table, place = self.formats.of(operation), operation.place
        weight = max(operation.weights, key=lambda each: each.elements)
        found = table.format_of(place, weight.tensor.name)
        name = found.name if found else "bf16"
        if name not in self._operands:
            own = self.measured.operands(self.accelerator, found) if found else self.plain
            if name == FP16 and self.computing_rate(name):
                own = changed(own, peak=fp16_peak(self.accelerator))
            self._operands[name] = own
        return self._operands[name]

    def separates_heads(self, operation: Attention) -> bool:
        """Return whether attention computes each query head for itself. That with weights has kernels of its own."""
        return self.accelerator.generation in self.engine.separate_heads and not operation.weights

    @property
    def is_in_triton(self) -> bool:
        """Whether attention with sinks, or with wide heads, runs in Triton."""
        return self.measured.family_of(self.accelerator.name) in self.engine.unified_attention

    def reading_share(self, kernel: str) -> float | None:
        """Return the share of the bandwidth at which the engine's products with few rows read weights, if known."""
        return self.engine.reading_share(kernel, self.accelerator)

    def computing_rate(self, weights: str) -> float | None:
        """Return the FLOP/s that the engine's products with weights of a format reach at most, if known."""
        return self.engine.computing_rate(self.accelerator, weights)

    @cached_property
    def assumed(self) -> tuple[str, ...]:
        """Figures of the accelerator that are assumed and affect the times."""
        ranks = [each.ranks for exchange in self.exchanges for each, _ in exchange.phases.values()]
        node = self.accelerator.node
        used = {
            "sms": True,
            "link": any(1 < each <= node for each in ranks),
            "network": any(each > node for each in (*ranks, self.mesh.ranks if self.mesh.pp > 1 else 1)),
        }
        return tuple(text for name, text in self.measured.assumed(self.accelerator).items() if used[name])

    @cached_property
    def routed(self) -> tuple[Operation, ...]:
        """Operations of routed experts."""
        known = next(iter(self._groups.values()), None) or self.groups  # those of both phases have the same weights
        found = (next(iter(group.phases.values())) for group in known.values())
        return tuple(operation for operation in found if isinstance(operation, GroupedGemm))

    @property
    def stage_batches(self) -> int:
        """Number of batches in the pipeline stages: one in each, or one in all of them."""
        return 1 if self.engine.divides_layers else self.mesh.pp

    @property
    def n_batches(self) -> int:
        """Number of batches that are computed at once: in the pipeline stages of each data-parallel rank."""
        return self.mesh.dp * self.stage_batches

    @property
    def joint_batches(self) -> int:
        """Number of batches whose steps wait for each other. Data-parallel ranks do only if they share experts."""
        return self.n_batches if self.routed else self.stage_batches

    # ------------------------------------------------------------------ a step

    def step(
        self,
        decode: Values | None = None,
        prefill: Values | None = None,
        *,
        scheduled: bool = False,
        verified: int = 1,
        batches: Number | None = None,
    ) -> StepTime:
        """Return the time of a step of sequences that are being decoded and sequences that are being prefilled.

        Args:
            decode: values of the workload symbols of the decoded sequences, of one data-parallel rank, as numbers or
                arrays.
            prefill: values of the workload symbols of the prefilled sequences.
            scheduled: whether an engine schedules the sequences, instead of computing one batch.
            verified: tokens of each decoded sequence. ``decode`` counts each as a sequence, but they have one cache.
            batches: number of batches in the stages of a pipeline (default: as many as there can be).
        """
        values = {phase: own for phase, own in ((DECODE, decode), (PREFILL, prefill)) if own is not None}
        self._used = {}
        components: dict[str, Cost] = {}
        n_kernels: Number = 0.0
        n_launched: Number = 0.0  # by the host, if nothing is captured
        costs: dict[Key, Cost] = {}
        products = self.products(values)
        for key, group in self.groups_of(values).items():
            phases = {phase: each for phase, each in group.phases.items() if phase in values}
            if not phases:
                continue
            operation = next(iter(phases.values()))
            cost, is_executed = products.get(key) or self.cost(phases, group.weight_bytes, values, verified)
            if is_executed is False:
                continue
            cost = costs[key] = self.placed_cost(operation, group.weight_bytes, cost, values)
            name = operation.component
            components[name] = components.get(name, NO_COST).plus(cost, group.applied)
            launched = group.applied * self.engine.launches[type(operation).__name__] * is_executed
            n_launched = n_launched + launched
            if not self.counts_launches(operation):
                n_kernels = n_kernels + launched
        exchanged, waits = transfers(self, values)
        own = self.engine
        between = own.gap(self.accelerator, has_prefill=prefill is not None, scheduled=scheduled)
        launches = n_kernels * between + waits * self.engine.collective_s
        if own.is_eager:
            busy = sum(cost.seconds for cost in components.values()) + sum(exchanged.values())
            launches = namespace(launches, busy).maximum(launches, n_launched * own.launch_s - busy)
        engine: Number = own.step_s + (self.mesh.tp - 1) * own.rank_s
        if scheduled:
            shares = {DECODE: verified}
            engine = engine + sum(each["b"] / shares.get(phase, 1) for phase, each in values.items()) * own.sequence_s
        listed = partial(self._listed, tuple(values), self._grouped_phases(values), costs)
        step = StepTime(components, exchanged, launches, engine, self._used, listed)
        return step if decode is None else delayed_by_stages(self, step, batches)

    def with_launch(self, seconds: float) -> StepModel:
        """Return the same steps with another time in which the host launches a kernel."""
        from copy import copy  # only for steps that another rate changes

        found = copy(self)
        found.engine = changed(self.engine, launch_s=seconds)
        return found

    def assumed_ranges(self) -> Iterator[tuple[str, StepModel, StepModel]]:
        """Yield what is assumed about the host, with the steps at the slow and the fast end of its range."""
        if self.engine.is_eager:
            fast, slow = (self.with_launch(each) for each in self.engine.launch_range_s)
            yield "the time in which the host launches a kernel is assumed", slow, fast

    def placed_cost(self, operation: Operation, weight_bytes: float, cost: Cost, values: Mapping[str, Values]) -> Cost:
        """Return the cost of an operation where it is computed, which is on the GPU."""
        return cost

    def _listed(
        self, phases: Iterable[str], grouped: tuple[str, ...], costs: Mapping[Key, Cost]
    ) -> tuple[tuple[Operation, Cost], ...]:
        """Return the executed operations of all layers with their costs, which are those of ``grouped`` phases."""
        pairs = all_pairs(self.architecture, self.mesh, grouped)
        found = ((pair, costs.get(cost_key(pair, weight_bytes(pair, self.formats), self.formats))) for pair in pairs)
        return tuple((next(pair[phase] for phase in pair if phase in phases), known) for pair, known in found if known)

    def cost(
        self, phases: Mapping[str, Operation], weight_bytes: float, values: Mapping[str, Values], verified: int = 1
    ) -> tuple[Cost, Any]:
        """Return the cost of an operation, and whether it is executed."""
        operation = next(iter(phases.values()))
        if (form := SIZED.get(type(operation))) is not None:
            size = sum([each.size(**values[phase]) for phase, each in phases.items()])
            return self.sized_cost(operation, size, weight_bytes, form)
        ((phase, _),) = phases.items()
        if isinstance(operation, Attention):
            return self.attention(
                operation, phase, values[phase], verified if phase == DECODE else 1, has_prefill=PREFILL in values
            )
        return self.recurrence(operation, phase, values[phase])

    def sized_cost(
        self, operation: Operation, size: Number, weight_bytes: float, form: Callable[..., tuple[Cost, Any]]
    ) -> tuple[Cost, Any]:
        """Return the cost of an operation that depends on one size. That of the last size is remembered.

        The steps of a generation have the same number of rows.
        """
        if not isinstance(size, int | float):
            return form(self, operation, size, weight_bytes)
        if size <= 0:
            return NO_COST, False
        found = self._known.get(id(operation))
        if found is None or found[0] != size:
            others, self._used = self._used, {}
            found = self._known[id(operation)] = (size, form(self, operation, size, weight_bytes), self._used)
            self._used = others
        self._used |= found[2]
        return found[1]

    def products(self, values: Mapping[str, Values]) -> dict[Key, tuple[Cost, Any]]:
        """Return the costs of products whose rows are arrays. Those with one kernel are computed at once."""
        xp = namespace(*[value for own in values.values() for value in own.values()])
        stacks: dict[int, list[tuple[Key, Gemm, float, Number]]] = {}
        for key, group in self.groups_of(values).items() if hasattr(xp, "stack") else ():
            phases = {phase: each for phase, each in group.phases.items() if phase in values}
            operation = next(iter(phases.values()), None)
            if isinstance(operation, Gemm):
                rows = sum([each.size(**values[phase]) for phase, each in phases.items()])
                own = key, operation, group.weight_bytes, rows
                stacks.setdefault(id(self.operands(operation)), []).append(own)
        found: dict[Key, tuple[Cost, Any]] = {}
        for stack in stacks.values():
            rows = xp.stack(xp.broadcast_arrays(*(own for *_, own in stack)))
            sizes = zip(*((one.columns, one.inner, one.batch, moved) for _, one, moved, _ in stack), strict=True)
            n, k, batch, moved = (xp.array(own).reshape(-1, *[1] * (rows.ndim - 1)) for own in sizes)
            cost, is_executed = self.gemm(changed(stack[0][1], columns=n, inner=k, batch=batch), rows, moved)
            found |= {key: (Cost(*(each[at] for each in cost)), is_executed[at]) for at, (key, *_) in enumerate(stack)}
        return found


SIZED: Mapping[type[Operation], Callable[..., tuple[Cost, Any]]] = {
    Gemm: StepModel.gemm,
    GroupedGemm: StepModel.grouped,
    Elementwise: StepModel.elementwise,
}  # operations whose cost depends on one size only
