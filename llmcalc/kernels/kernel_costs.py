"""Costs of the kernels of one rank, which the steps of serving and of training have in common."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import inf

from ..calc.memory.number_formats import BITS_A_BYTE, Format
from ..calc.sharding import Mesh
from ..core.arrays import Number, is_zero, namespace
from ..core.type_names import Any
from ..estimate.hardware import Accelerator
from . import kernels
from .cost import ACTIVATION_BYTES, NO_COST, Cost
from .efficiency import Efficiencies, Efficiency, Operands
from .mixed_attention import mixed_attention_decode
from .operations import Attention, Convolution, Elementwise, Gemm, GroupedGemm, Operation, Scan
from .step_operations import DECODE
from .unified_attention import unified_attention_decode, unified_attention_prefill

Values = Mapping[str, Number]  # values of the workload symbols, as those of ``Workload.values``
FEW_ROWS = 8  # tokens that kernels of vector products compute
WIDEST_HEAD = 256  # elements of a head in other kernels than that of Triton
USUAL_HEAD = 128  # elements of a key and of a value in a head of a recurrence


class KernelCosts:
    """Costs of operations on one rank, with the coefficients of an accelerator.

    Attributes:
        accelerator: the GPU.
        mesh: layout. ``dp`` ranks have different tokens, and share the experts.
        cache: number format of keys and values.
        states: bytes per element of recurrent and convolution states, by role.
        measured: coefficients of all accelerators.
        without: accelerators whose measurements are left out.
        efficiencies: coefficients that any step used, by kind and format of the kernels.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        mesh: Mesh,
        cache: Format,
        states: Mapping[str, float],
        measured: Efficiencies,
        without: frozenset[str] = frozenset(),
    ) -> None:
        self.accelerator, self.mesh, self.cache, self.states = accelerator, mesh, cache, states
        self.measured, self.without = measured, without
        self.device = measured.device(accelerator)
        self.cache_bytes = cache.bits_per_weight / BITS_A_BYTE
        self.cache_name = "bf16" if self.cache_bytes > 1.5 else "fp8"
        self.efficiencies: dict[tuple[str, str], Efficiency] = {}
        self._used: dict[tuple[str, str], Efficiency] = {}  # by the current step

    # ------------------------------------------------------------------ coefficients

    def coefficients(self, kind: str, kernel: str = "") -> Mapping[str, float]:
        """Return the coefficients of a kind of kernels, and remember that the step uses them."""
        key = kind, kernel
        if key not in self.efficiencies:
            own = self.accelerator.name, kernel, self.without, self.kernel_library(kind)
            self.efficiencies[key] = self.measured.coefficients(kind, *own)
        self._used[key] = self.efficiencies[key]
        return self._used[key].values

    def kernel_library(self, kind: str) -> str:
        """Return the library of a kind of kernels, or an empty string."""
        return ""

    def separates_heads(self, operation: Attention) -> bool:
        """Return whether attention computes each query head for itself in a step with decoding and prefill."""
        return False

    @property
    def is_in_triton(self) -> bool:
        """Whether attention with sinks, or with wide heads, runs in Triton."""
        return False

    def operands(self, operation: Operation) -> Operands:
        """Return how the accelerator computes with the weights of an operation."""
        raise NotImplementedError

    def reading_share(self, kernel: str) -> float | None:
        """Return the share of the bandwidth at which products with few rows read weights, or None if unknown."""
        return None

    def computing_rate(self, weights: str) -> float | None:
        """Return the FLOP/s that products with weights of a format reach at most, or None if unknown."""
        return None

    def received(self, tokens: Number, operation: GroupedGemm) -> tuple[Number, Number]:
        """Return the rows and the touched experts of the expert-parallel rank that receives the most."""
        return kernels.busiest_rank(tokens, operation.chosen, operation.experts, self.mesh.ep)

    @cached_property
    def plain(self) -> Operands:
        """How the accelerator computes with 16 bits."""
        return self.measured.operands(self.accelerator, Format("bf16", 16))

    # ------------------------------------------------------------------ kernels

    def gemm(self, operation: Gemm, rows: Number, weight_bytes: float) -> tuple[Cost, Any]:
        """Return the cost of a product with ``rows`` rows."""
        own, n, k, batch = self.operands(operation), operation.columns, operation.inner, operation.batch
        xp = namespace(rows)
        moved = weight_bytes + rows * batch * (k * own.activation_bytes + n * ACTIVATION_BYTES)
        seconds = kernels.gemm(
            xp.maximum(rows, 1e-6), n, k, weight_bytes, self.device, own.peak, self.coefficients("gemm", own.kernel),
            activation_bytes=own.activation_bytes, batch=batch,
        )  # fmt: skip
        flops = 2.0 * rows * n * k * batch
        seconds = self.computing(self.reading(seconds, rows, moved, own), flops, own)
        return self.executed(seconds, moved, flops, own.peak, rows > 0)

    def grouped(self, operation: GroupedGemm, tokens: Number, weight_bytes: float) -> tuple[Cost, Any]:
        """Return the cost of the experts on the rank that receives the most tokens."""
        xp, is_executed = namespace(tokens), tokens > 0
        own, mesh = self.operands(operation), self.mesh
        # the ranks of a group have the tokens of as many data-parallel ranks
        shared = max(mesh.dp * mesh.ep * mesh.expert_tp // (mesh.dp * mesh.tp), 1)
        tokens = xp.maximum(tokens * shared, 1e-6)
        experts = operation.experts / mesh.ep
        rows, touched = self.received(tokens, operation)
        elements = sum(inner * outer for inner, outer in operation.matrices)
        width, inner = operation.matrices[0][0], operation.matrices[-1][0]
        each = weight_bytes / experts
        seconds: Number = inf
        launched = self.counts_launches(operation)
        for coefficients in self.expert_kernels(own):
            time = kernels.grouped_gemm(
                rows, touched, experts, elements, width, inner, each, self.device, own.peak, coefficients,
                launched=launched,
            )  # fmt: skip
            seconds = xp.minimum(seconds, time)
        moved = touched * each + rows * 2 * width * ACTIVATION_BYTES
        flops = 2.0 * rows * elements
        seconds = self.computing(self.reading(seconds, tokens, moved, own), flops, own)
        return self.executed(seconds, moved, flops, own.peak, is_executed)

    def expert_kernels(self, own: Operands) -> list[Mapping[str, float]]:
        """Return the coefficients of the available kernels for experts. The fastest kernel is used."""
        names = (own.kernel, *own.variants)
        found = {name: self.coefficients("experts", name) for name in names}
        known = [self.efficiencies["experts", name] for name in names]
        first = known[0].origin, known[0].is_library
        return [found[name] for name, own in zip(names, known, strict=True) if (own.origin, own.is_library) == first]

    def counts_launches(self, operation: Operation) -> bool:
        """Return whether the time of an operation includes its launches, as that of a library's layer of experts."""
        if not isinstance(operation, GroupedGemm):
            return False
        kernel = self.operands(operation).kernel
        self.coefficients("experts", kernel)
        return self.efficiencies["experts", kernel].is_library

    def reading(self, seconds: Number, rows: Number, moved: Number, own: Operands) -> Number:
        """Return the time of products. In some engines, those with few rows take only the time to read the weights."""
        share = self.reading_share(own.kernel)
        if share is None:
            return seconds
        return namespace(rows).where(rows <= FEW_ROWS, moved / (self.device.bandwidth * share), seconds)

    def computing(self, seconds: Number, flops: Number, own: Operands) -> Number:
        """Return the time of products, at no more FLOP/s than those of the engine reach."""
        rate = self.computing_rate(own.weights)
        return seconds if rate is None else namespace(seconds, flops).maximum(seconds, flops / rate)

    def elementwise(self, _: Elementwise, elements: Number, weight_bytes: float) -> tuple[Cost, Any]:
        """Return the cost of a kernel that reads and writes a number of elements of activations."""
        moved = elements * ACTIVATION_BYTES + weight_bytes
        seconds = kernels.elementwise(moved, self.device, self.coefficients("elementwise"))
        return self.executed(seconds, moved, 0.0, inf, elements > 0)

    def attention(
        self, operation: Attention, phase: str, values: Values, verified: int, has_prefill: bool = False
    ) -> tuple[Cost, Any]:
        """Return the cost of attention. Verified tokens of a sequence read the same keys, as further heads would."""
        sequences, queries = operation.sequences(**values) / verified, operation.queries(**values)
        pairs = operation.pairs(**values)
        xp, is_executed = namespace(sequences, pairs), sequences * pairs > 0
        if is_executed is False or is_zero(pairs):  # such as the encoder of a request without images
            return NO_COST, False
        peak, form, heads = self.plain.peak, operation, operation.heads * verified
        tokens = pairs / xp.maximum(queries, 1)  # keys of a query
        one = {**values, "q": 1}  # new token, which does not change the patches of an image encoder
        longest = xp.maximum(operation.pairs(**one) / xp.maximum(operation.queries(**one), 1), 1)
        decoded, cache_bytes = sequences * queries, self.cache_bytes
        prefilled = xp.maximum(sequences, 1e-9), xp.maximum(queries, 1), pairs, longest
        own = form.key_heads, form.key_width, form.value_width, self.device
        if phase == DECODE and form.is_latent:
            seconds = kernels.latent_attention_decode(
                decoded, tokens, heads, form.value_width, form.key_width - form.value_width, self.device, peak,
                self.coefficients("latent_attention_decode", self.cache_name), cache_bytes=cache_bytes,
            )  # fmt: skip
        elif self.is_in_triton and (form.has_sinks or form.key_width > WIDEST_HEAD) and not form.is_latent:
            if phase == DECODE:
                found = self.coefficients("unified_attention_decode", "fp8")
                seconds = unified_attention_decode(
                    decoded, tokens, heads, *own, found, cache_bytes=cache_bytes, mixed=has_prefill
                )
            else:
                found = self.coefficients("unified_attention_prefill", "fp8")
                seconds = unified_attention_prefill(*prefilled, heads, *own, found, cache_bytes=cache_bytes)
        elif phase == DECODE and has_prefill and self.separates_heads(form):
            found = self.coefficients("attention_decode", self.cache_name)
            rate = self.coefficients("attention_prefill", "bf16")["compute"]
            seconds = mixed_attention_decode(
                decoded, tokens, form.heads, *own, peak, found, rate, cache_bytes=cache_bytes
            )
        elif phase == DECODE:
            found = self.coefficients("attention_decode", self.cache_name)
            seconds = kernels.attention_decode(decoded, tokens, heads, *own, peak, found, cache_bytes=cache_bytes)
        else:
            found = self.coefficients("latent_attention_prefill" if form.is_expanded else "attention_prefill", "bf16")
            seconds = kernels.attention_prefill(*prefilled, heads, *own, peak, found, cache_bytes=cache_bytes)
        moved = sequences * (
            longest * form.key_elements * cache_bytes
            + queries * heads * (form.key_width + form.value_width) * ACTIVATION_BYTES
        )
        share = self.reading_share("") if phase == DECODE else None
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
