"""Time of a step outside the kernels, by inference engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...core.arrays import Number, namespace
from ...core.errors import InputError
from ...core.record import fields, record
from ...core.type_names import Any
from ...engines.profile import version_number
from ...estimate.cost import SIXTEEN_BIT
from ...estimate.hardware import Accelerator
from ...kernels.tiles import MICRO
from ..admission import Admission, read_admission

INT8, FP16 = "int8", "fp16"
TIMES = (  # in microseconds in the data
    "step", "sequence", "rank", "kernel", "prefill_kernel", "static_kernel", "collective", "server", "draft_step",
    "draft_pass",
)  # fmt: skip


def fp16_peak(accelerator: Accelerator) -> float:
    """Return the FLOP/s of products in fp16 with sums in fp16, which is twice that with sums in fp32 on some cards."""
    return float(accelerator.fp16_accumulate.get(FP16, accelerator.peak.get(FP16, 0)))


@record
class EngineStep:
    """Time of a step outside the kernels.

    Attributes:
        name: name of the engine.
        is_known: whether the data describe the engine. Otherwise, the values are medians over the known engines.
        step_s: seconds of a step, such as those of the scheduler and the sampler.
        sequence_s: seconds of each sequence that the scheduler adds to a step.
        rank_s: seconds of a step for each tensor-parallel rank after the first.
        kernel_s, prefill_kernel_s: seconds between two kernels in a decode step, and in a step with prefill.
        static_kernel_s: seconds between two kernels of a prefill that no scheduler runs.
        is_scheduled: whether the engine schedules a batch of which all sequences arrive at once.
        has_data_parallel: whether ranks can have different requests and share the experts.
        divides_layers: whether the GPUs have different layers by default, and compute one batch one after the other.
        collective_s: deviation of the time at which a rank reaches a collective, in seconds.
        prefill_share: time that a prefill adds to a step with decoding, relative to the difference of the two steps.
        stage_wait: time by which each other batch in a pipeline delays a decode step, relative to the step.
        wait: prefills of other requests before that of a request, per square root of their number.
        server_s: seconds between a client and the engine, in front of the first token of a request.
        libraries: library of the kernels, by kind.
        separate_heads: generations on which attention computes each query head for itself in steps with prefill.
        unified_attention: families of accelerators on which attention with sinks, or with wide heads, runs in Triton.
        launches: number of kernels of each type of operation.
        reading: share of the bandwidth at which products with few rows read weights, by format, accelerator, generation
            or vendor.
        gaps: seconds between two kernels of a step, by vendor.
        host: rates of a host that computes with the weights in its memory, or nothing if it does not.
        computing: shares of the peaks that products reach at most, by generation and format (int8, fp16).
        draft_step_s, draft_pass_s: seconds of a step that verifies drafted tokens, and of each pass of a draft.
        overlap_tokens: fewest tokens of a step that are computed as two batches, if the engine is told to.
        chunk: usual tokens of prefill in a step, if the profile of the engine states none.
        depends_on_version: whether earlier versions have other times.
        memory_share: share of the memory of a GPU that an engine uses, if its own rule is unknown.
        other_bytes: bytes of such an engine beside weights and KV cache, for activations, CUDA graphs and libraries.
        admission: rule by which the engine admits requests.
        shares_tokens: whether decoded tokens count in the largest number of tokens of a step.
        launch_s: seconds in which the host launches a kernel without CUDA graphs.
        launch_range_s: lowest and highest value of it.
        is_eager: whether nothing is captured in CUDA graphs.
    """

    name: str
    is_known: bool
    step_s: float
    sequence_s: float
    rank_s: float
    kernel_s: float
    prefill_kernel_s: float
    static_kernel_s: float
    is_scheduled: bool
    has_data_parallel: bool
    collective_s: float
    prefill_share: float
    stage_wait: float
    wait: float
    server_s: float
    launches: Mapping[str, float]
    gaps: Mapping[str, float]
    draft_step_s: float
    draft_pass_s: float
    chunk: int
    depends_on_version: bool
    memory_share: float
    other_bytes: float
    admission: Admission
    launch_s: float
    launch_range_s: tuple[float, float]
    divides_layers: bool = False
    libraries: Mapping[str, str] = {}
    separate_heads: Sequence[str] = ()
    unified_attention: Sequence[str] = ()
    reading: Mapping[str, float] = {}
    host: Mapping[str, Any] = {}
    computing: Mapping[str, Mapping[str, float]] = {}
    overlap_tokens: int = 2
    shares_tokens: bool = False
    is_eager: bool = False

    def prefill_limit(self, limit: Number, decoded: Number) -> Number:
        """Return the largest number of tokens of prefill in a step that also decodes tokens, which come first."""
        return namespace(limit, decoded).maximum(limit - decoded, 1.0) if self.shares_tokens else limit

    def most_decoded(
        self, limit: Number, new: Number, tokens: Number, accepted: Number = 1, verified: int = 1
    ) -> Number:
        """Return the largest number of sequences that are decoded at once while the others of a full engine wait.

        Args:
            limit: largest number of tokens of a step.
            new: tokens of a prefill.
            tokens: tokens that are decoded after it.
            accepted: tokens by which a sequence advances in a step.
            verified: tokens of a sequence in a step.
        """
        return limit * tokens / (accepted * new + (verified * tokens if self.shares_tokens else 0))

    def reading_share(self, kernel: str, accelerator: Accelerator) -> float | None:
        """Return the share of the bandwidth at which products with few rows read weights, or None if unknown."""
        if not self.reading:
            return None
        chip = accelerator.name.rpartition("-")[0]  # without the size of the memory
        names = (kernel, accelerator.name, chip, accelerator.generation, accelerator.vendor.lower())
        return next((self.reading[name] for name in names if name in self.reading), None)

    def gap(self, accelerator: Accelerator, *, has_prefill: bool, scheduled: bool) -> float:
        """Return the seconds between two kernels of a step."""
        own = self.gaps.get(accelerator.vendor.lower(), 0.0)
        usual = (self.prefill_kernel_s if scheduled else self.static_kernel_s) if has_prefill else self.kernel_s
        return max(usual, own)

    def computing_rate(self, accelerator: Accelerator, weights: str) -> float | None:
        """Return the FLOP/s that products with weights of a format reach at most, or None if unknown.

        Quantised weights are multiplied in int8, and those in fp16 with sums in fp16. Others count as quantised ones.
        """
        name = FP16 if weights == FP16 else INT8
        share = self.computing.get(accelerator.generation, {}).get(name)
        if share is None:
            return None
        if name == FP16:
            return share * fp16_peak(accelerator)
        return share * max(accelerator.peak.get(own, 0) for own in (INT8, *SIXTEEN_BIT))


def read_engine(name: str, found: Mapping[str, Any], version: str | None = None) -> EngineStep:
    """Return the time of a step of an engine outside the kernels, from ``data/engine_steps.yaml``.

    An engine that the data do not describe has the medians of the others. The default version is the newest one.
    """
    engines: dict[str, dict[str, Any]] = found["engines"]
    own = next((key for key, entry in engines.items() if name.lower() in (key, *entry.get("names", ()))), None)
    entry: dict[str, Any]
    if own is None:
        from ...inputs.measurements import median  # needed only by unknown engines

        entry = {key: median([each[key] for each in engines.values()]) for key in ("step_us", "sequence_us")}
    else:
        entry = _in_version(own, engines[own], version)
    eager_us = found["eager_us" if entry.get("eager") else "kernel_us"]
    usual = {"rank_us": 0, "prefill_kernel_us": eager_us, "static_kernel_us": entry.get("static_us", eager_us)}
    entry, launch_us = {**found, **found["unknown"], **usual, **entry}, found["launch_us"]
    return EngineStep(**{field.name: entry[field.name] for field in fields(EngineStep) if field.name in entry} | {
        "name": own or name,
        "is_known": own is not None,
        **{f"{name}_s": entry[f"{name}_us"] * MICRO for name in TIMES},
        "is_scheduled": entry.get("scheduler", False),
        "has_data_parallel": entry.get("data_parallel", False),
        "launches": {name: number * entry.get("kernels", 1) for name, number in found["launches"].items()},
        "gaps": {vendor: each * MICRO for vendor, each in entry.get("gap_us", {}).items()},
        "chunk": entry["max_num_batched_tokens"],
        "depends_on_version": "earlier" in entry,
        "other_bytes": entry["other_gb"] * 1e9,
        "admission": read_admission(entry.get("admission", {})),
        "launch_s": launch_us["best"] * MICRO,
        "launch_range_s": (launch_us["low"] * MICRO, launch_us["high"] * MICRO),
    })  # fmt: skip


def _in_version(name: str, entry: dict[str, Any], version: str | None) -> dict[str, Any]:
    """Return the values of an engine in a version."""
    earlier = entry.get("earlier", ())
    number = version_number(version) if version else None
    if number is None or not earlier:
        return entry
    if number < version_number(earlier[0]["since"]):
        hint = f"use {earlier[0]['since']} or later"
        raise InputError(f"the times of {name} {version} are not described", parameter="engine_version", hint=hint)
    return entry | next((one for one in earlier if number < version_number(one["before"])), {})
