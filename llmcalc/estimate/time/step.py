"""Time of one forward step of a rank, as the sum of its kernels, collectives, launches and the engine's own work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from math import inf
from typing import Any

from ...calc.memory.number_formats import BITS_A_BYTE, Format
from ...calc.sharding import Mesh
from ...core.architecture import Architecture
from ...core.record import changed
from ..hardware import Accelerator
from . import kernels
from .arrays import Number, is_zero, namespace
from .cost import ACTIVATION_BYTES, NO_COST, ClassFormats, Cost, StepTime
from .efficiency import Efficiencies, Efficiency, Operands
from .engine_step import EngineStep
from .layer_operations import Key
from .operations import Attention, Convolution, Elementwise, Gemm, GroupedGemm, Operation, Scan
from .step_operations import (
    DECODE,
    PREFILL,
    Pair,
    all_pairs,
    cost_key,
    exchanges,
    groups,
    weight_bytes,
)
from .transfers import delayed_by_stages, transfers

Values = Mapping[str, Number]  # values of the workload symbols, as those of ``Workload.values``
FEW_ROWS = 8  # tokens that kernels of vector products compute
USUAL_HEAD = 128  # elements of a key and of a value in a head of a recurrence


def step_values(sequences: Number, queries: Number, keys: Number) -> dict[str, Number]:
    """Return the workload symbols of sequences with ``keys`` tokens, including ``queries`` new ones."""
    zero = 0 * keys
    return {"b": sequences, "q": queries, "c": keys - queries, "k": keys, "s": keys, "n": zero, "p": zero, "a": zero}


class StepModel:
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
        groups: operations with the same cost.
        efficiencies: coefficients that any step used, by kind and format of the kernels.
    """

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
        self.architecture, self.accelerator, self.mesh, self.engine = architecture, accelerator, mesh, engine
        self.formats, self.cache, self.states = formats, cache, states
        self.measured, self.without = measured, without
        self.device = measured.device(accelerator)
        self.cache_bytes = cache.bits_per_weight / BITS_A_BYTE
        self.cache_name = "bf16" if self.cache_bytes > 1.5 else "fp8"
        self.efficiencies: dict[tuple[str, str], Efficiency] = {}
        self._used: dict[tuple[str, str], Efficiency] = {}  # by the current step
        self._operands: dict[str, Operands] = {}
        self._known: dict[int, tuple[float, tuple[Cost, Any], dict[tuple[str, str], Efficiency]]] = {}
        self.groups = groups(architecture, mesh, formats)
        self.exchanges = exchanges(architecture, mesh, 8 * ACTIVATION_BYTES)

    @cached_property
    def paired(self) -> list[tuple[Pair, float]]:
        """Operations of a prefill and a decode step with the same weights, and the bytes of these."""
        return [(pair, weight_bytes(pair, self.formats)) for pair in all_pairs(self.architecture, self.mesh)]

    # ------------------------------------------------------------------ coefficients

    def coefficients(self, kind: str, kernel: str = "") -> Mapping[str, float]:
        """Return the coefficients of a kind of kernels, and remember that the step uses them."""
        if (kind, kernel) not in self._used:
            found = self.measured.coefficients(kind, self.accelerator.name, kernel, self.without)
            self.efficiencies[kind, kernel] = self._used[kind, kernel] = found
        return self._used[kind, kernel].values

    def operands(self, operation: Operation) -> Operands:
        """Return how the accelerator computes with the weights of an operation."""
        table, place = self.formats.of(operation), operation.place
        weight = max(operation.weights, key=lambda each: each.elements)
        found = table.format_of(place, weight.tensor.name)
        name = found.name if found else "bf16"
        if name not in self._operands:
            self._operands[name] = self.measured.operands(self.accelerator, found) if found else self.plain
        return self._operands[name]

    @cached_property
    def plain(self) -> Operands:
        """How the accelerator computes with 16 bits."""
        return self.measured.operands(self.accelerator, Format("bf16", 16))

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

    @property
    def n_batches(self) -> int:
        """Number of batches that are computed at once: in each pipeline stage, and on each data-parallel rank."""
        return self.mesh.dp * self.mesh.pp

    # ------------------------------------------------------------------ a step

    def step(
        self,
        decode: Values | None = None,
        prefill: Values | None = None,
        *,
        scheduled: bool = False,
        detailed: bool = False,
        verified: int = 1,
        batches: Number | None = None,
    ) -> StepTime:
        """Return the time of a step of sequences that are being decoded and sequences that are being prefilled.

        Args:
            decode: values of the workload symbols of the decoded sequences, of one data-parallel rank, as numbers or
                arrays.
            prefill: values of the workload symbols of the prefilled sequences.
            scheduled: whether an engine schedules the sequences, instead of computing one batch.
            detailed: whether to list the cost of each operation.
            verified: tokens of each decoded sequence. ``decode`` counts each as a sequence, but they have one cache.
            batches: number of batches in the stages of a pipeline (default: one in each).
        """
        values = {phase: own for phase, own in ((DECODE, decode), (PREFILL, prefill)) if own is not None}
        self._used = {}
        components: dict[str, Cost] = {}
        n_kernels: Number = 0.0
        costs: dict[Key, Cost] = {}
        products = self.products(values)
        for key, group in self.groups.items():
            phases = {phase: each for phase, each in group.phases.items() if phase in values}
            if not phases:
                continue
            operation = next(iter(phases.values()))
            cost, is_executed = products.get(key) or self.cost(phases, group.weight_bytes, values, verified)
            if is_executed is False:
                continue
            costs[key] = cost
            name = operation.component
            components[name] = components.get(name, NO_COST).plus(cost, group.applied)
            n_kernels = n_kernels + group.applied * self.engine.launches[type(operation).__name__] * is_executed
        exchanged, waits = transfers(self, values)
        own = self.engine
        between = own.kernel_s if prefill is None else own.prefill_kernel_s if scheduled else own.static_kernel_s
        launches = n_kernels * between + waits * self.engine.collective_s
        engine: Number = own.step_s + (self.mesh.tp - 1) * own.rank_s
        if scheduled:
            shares = {DECODE: verified}
            engine = engine + sum(each["b"] / shares.get(phase, 1) for phase, each in values.items()) * own.sequence_s
        listed = self._listed(values, costs) if detailed else ()
        step = StepTime(components, exchanged, launches, engine, self._used, listed)
        return step if decode is None else delayed_by_stages(self, step, batches)

    def _listed(self, phases: Iterable[str], costs: Mapping[Key, Cost]) -> tuple[tuple[Operation, Cost], ...]:
        """Return the executed operations of all layers with their costs."""
        found = ((pair, costs.get(cost_key(pair, size, self.formats))) for pair, size in self.paired)
        return tuple((next(pair[phase] for phase in pair if phase in phases), known) for pair, known in found if known)

    def cost(
        self, phases: Mapping[str, Operation], weight_bytes: float, values: Mapping[str, Values], verified: int = 1
    ) -> tuple[Cost, Any]:
        """Return the cost of an operation, and whether it is executed."""
        operation = next(iter(phases.values()))
        if (form := SIZED.get(type(operation))) is not None:
            size = sum(each.size(**values[phase]) for phase, each in phases.items())
            return self.sized_cost(operation, size, weight_bytes, form)
        ((phase, _),) = phases.items()
        if isinstance(operation, Attention):
            return self.attention(operation, phase, values[phase], verified if phase == DECODE else 1)
        return self.recurrence(operation, phase, values[phase])

    def sized_cost(
        self, operation: Operation, size: Number, weight_bytes: float, form: Callable[..., tuple[Cost, Any]]
    ) -> tuple[Cost, Any]:
        """Return the cost of an operation that depends on one size. That of the last size is remembered.

        The steps of a generation have the same number of rows.
        """
        if not isinstance(size, int | float):
            return form(self, operation, size, weight_bytes)
        found = self._known.get(id(operation))
        if found is None or found[0] != size:
            others, self._used = self._used, {}
            found = self._known[id(operation)] = (size, form(self, operation, size, weight_bytes), self._used)
            self._used = others
        self._used |= found[2]
        return found[1]

    def gemm(self, operation: Gemm, rows: Number, weight_bytes: float) -> tuple[Cost, Any]:
        """Return the cost of a product with ``rows`` rows."""
        own, n, k, batch = self.operands(operation), operation.columns, operation.inner, operation.batch
        xp, is_executed = namespace(rows), rows > 0
        if is_executed is False:
            return NO_COST, False
        moved = weight_bytes + rows * batch * (k * own.activation_bytes + n * ACTIVATION_BYTES)
        seconds = kernels.gemm(
            xp.maximum(rows, 1e-6), n, k, weight_bytes, self.device, own.peak, self.coefficients("gemm", own.kernel),
            activation_bytes=own.activation_bytes, batch=batch,
        )  # fmt: skip
        seconds = self.reading(seconds, rows, moved, own)
        return self.executed(seconds, moved, 2.0 * rows * n * k * batch, own.peak, is_executed)

    def products(self, values: Mapping[str, Values]) -> dict[Key, tuple[Cost, Any]]:
        """Return the costs of products whose rows are arrays. Those with one kernel are computed at once."""
        xp = namespace(*(value for own in values.values() for value in own.values()))
        stacks: dict[int, list[tuple[Key, Gemm, float, Number]]] = {}
        for key, group in self.groups.items() if hasattr(xp, "stack") else ():
            phases = {phase: each for phase, each in group.phases.items() if phase in values}
            operation = next(iter(phases.values()), None)
            if isinstance(operation, Gemm):
                rows = sum(each.size(**values[phase]) for phase, each in phases.items())
                own = key, operation, group.weight_bytes, rows
                stacks.setdefault(id(self.operands(operation)), []).append(own)
        found: dict[Key, tuple[Cost, Any]] = {}
        for stack in stacks.values():
            keys, operations_of, sizes, each_rows = zip(*stack, strict=True)
            rows = xp.stack(xp.broadcast_arrays(*each_rows))
            n, k, batch, moved = (
                xp.array(own).reshape(-1, *[1] * (rows.ndim - 1))
                for own in (
                    *zip(*((each.columns, each.inner, each.batch) for each in operations_of), strict=True),
                    sizes,
                )
            )
            cost, is_executed = self.gemm(changed(operations_of[0], columns=n, inner=k, batch=batch), rows, moved)
            found |= {key: (Cost(*(each[at] for each in cost)), is_executed[at]) for at, key in enumerate(keys)}
        return found

    def grouped(self, operation: GroupedGemm, tokens: Number, weight_bytes: float) -> tuple[Cost, Any]:
        """Return the cost of the experts on the rank that receives the most tokens."""
        xp, is_executed = namespace(tokens), tokens > 0
        if is_executed is False:
            return NO_COST, False
        own, mesh = self.operands(operation), self.mesh
        # the ranks of a group have the tokens of as many data-parallel ranks
        shared = max(mesh.dp * mesh.ep * mesh.expert_tp // (mesh.dp * mesh.tp), 1)
        tokens = xp.maximum(tokens * shared, 1e-6)
        experts = operation.experts / mesh.ep
        rows, touched = kernels.busiest_rank(tokens, operation.chosen, operation.experts, mesh.ep)
        elements = sum(inner * outer for inner, outer in operation.matrices)
        width, inner = operation.matrices[0][0], operation.matrices[-1][0]
        each = weight_bytes / experts
        seconds: Number = inf
        for coefficients in self.expert_kernels(own):
            time = kernels.grouped_gemm(
                rows, touched, experts, elements, width, inner, each, self.device, own.peak, coefficients
            )
            seconds = xp.minimum(seconds, time)
        moved = touched * each + rows * 2 * width * ACTIVATION_BYTES
        seconds = self.reading(seconds, tokens, moved, own)
        return self.executed(seconds, moved, 2.0 * rows * elements, own.peak, is_executed)

    def expert_kernels(self, own: Operands) -> list[Mapping[str, float]]:
        """Return the coefficients of the available kernels for experts. The fastest kernel is used."""
        found = [self.coefficients("experts", name) for name in (own.kernel, *own.variants)]
        origins = [self.efficiencies["experts", name].origin for name in (own.kernel, *own.variants)]
        return [each for each, origin in zip(found, origins, strict=True) if origin == origins[0]]

    def reading(self, seconds: Number, rows: Number, moved: Number, own: Operands) -> Number:
        """Return the time of products, of which those with few rows only read their weights in some engines."""
        share = self.engine.reading_share(own.kernel, self.accelerator)
        if share is None:
            return seconds
        return namespace(rows).where(rows <= FEW_ROWS, moved / (self.device.bandwidth * share), seconds)

    def elementwise(self, _: Elementwise, elements: Number, weight_bytes: float) -> tuple[Cost, Any]:
        """Return the cost of a kernel that reads and writes a number of elements of activations."""
        is_executed = elements > 0
        if is_executed is False:
            return NO_COST, False
        moved = elements * ACTIVATION_BYTES + weight_bytes
        seconds = kernels.elementwise(moved, self.device, self.coefficients("elementwise"))
        return self.executed(seconds, moved, 0.0, inf, is_executed)

    def attention(self, operation: Attention, phase: str, values: Values, verified: int) -> tuple[Cost, Any]:
        """Return the cost of attention. Verified tokens of a sequence read the same keys, as further heads would."""
        sequences, queries = operation.sequences(**values) / verified, operation.queries(**values)
        pairs = operation.pairs(**values)
        xp, is_executed = namespace(sequences, pairs), sequences * pairs > 0
        if is_executed is False or is_zero(pairs):  # such as the encoder of a request without images
            return NO_COST, False
        peak, form, heads = self.plain.peak, operation, operation.heads * verified
        tokens = pairs / xp.maximum(queries, 1)  # keys of a query
        longest = xp.maximum(operation.pairs(**{**values, "q": 1}), 1)
        if phase == DECODE and operation.is_latent:
            seconds = kernels.latent_attention_decode(
                sequences * queries, tokens, heads, form.value_width, form.key_width - form.value_width,
                self.device, peak, self.coefficients("latent_attention_decode", self.cache_name),
                cache_bytes=self.cache_bytes,
            )  # fmt: skip
        elif phase == DECODE:
            seconds = kernels.attention_decode(
                sequences * queries, tokens, heads, form.key_heads, form.key_width, form.value_width, self.device, peak,
                self.coefficients("attention_decode", self.cache_name), cache_bytes=self.cache_bytes,
            )  # fmt: skip
        else:
            kind = "latent_attention_prefill" if form.is_expanded else "attention_prefill"
            seconds = kernels.attention_prefill(
                xp.maximum(sequences, 1e-9), xp.maximum(queries, 1), pairs, longest, heads, form.key_heads,
                form.key_width, form.value_width, self.device, peak, self.coefficients(kind, "bf16"),
                cache_bytes=self.cache_bytes,
            )  # fmt: skip
        moved = sequences * (
            longest * form.key_elements * self.cache_bytes
            + queries * heads * (form.key_width + form.value_width) * ACTIVATION_BYTES
        )
        share = self.engine.reading_share("", self.accelerator) if phase == DECODE else None
        if share is not None:
            seconds = moved / (self.device.bandwidth * share)
        flops = 2.0 * sequences * pairs * heads * (form.key_width + form.value_width)
        return self.executed(seconds, moved, flops, peak, is_executed)

    def recurrence(self, operation: Operation, phase: str, values: Values) -> tuple[Cost, Any]:
        """Return the cost of a scan or a depthwise convolution."""
        assert isinstance(operation, (Scan, Convolution))
        sequences, tokens = operation.sequences(**values), operation.tokens(**values)
        is_executed = sequences * tokens > 0
        if is_executed is False:
            return NO_COST, False
        states = operation.states(**values) * self.states[operation.ROLE]
        activations = operation.activations(**values) * ACTIVATION_BYTES
        moved, flops = states + activations, operation.flops(**values)
        if phase == DECODE:
            elements = sequences * (operation.state_elements if isinstance(operation, Scan) else 0)
            seconds = kernels.state_update(moved, elements, self.device, self.coefficients("state_update"))
        elif isinstance(operation, Scan):
            lanes = max(operation.state_elements / USUAL_HEAD**2, 1)
            own = self.coefficients("scan", "channel" if operation.decays_channels else "head")
            channels = lanes * 2 * USUAL_HEAD  # of a key and a value
            seconds = kernels.scan(tokens, channels, lanes, self.device, own, sequences=sequences)
        else:
            own = self.coefficients("convolution")
            seconds = kernels.convolution(tokens, operation.channels, self.device, own, sequences=sequences)
        return self.executed(seconds, moved, flops, self.plain.peak, is_executed)

    def executed(
        self, seconds: Number, moved: Number, flops: Number, peak: float, is_executed: Any
    ) -> tuple[Cost, Any]:
        """Return the cost of an operation, which is 0 where it is not executed."""
        cost = Cost(seconds, moved, flops, moved / self.device.bandwidth, flops / peak)
        if is_executed is True:
            return cost, True
        return Cost(*(each * is_executed for each in cost)), is_executed


SIZED: Mapping[type[Operation], Callable[..., tuple[Cost, Any]]] = {
    Gemm: StepModel.gemm,
    GroupedGemm: StepModel.grouped,
    Elementwise: StepModel.elementwise,
}  # operations whose cost depends on one size only
