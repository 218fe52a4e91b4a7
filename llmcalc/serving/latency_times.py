"""Latency of a batch: the time of a decode step, of a prefill, or of a whole generation, with an interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, ClassVar

from ..calc.memory.fit import Fit
from ..core.amount import summed
from ..core.architecture import Architecture
from ..core.arrays import Number, namespace
from ..core.interval import Interval
from ..core.notebook_display import NotebookDisplay
from ..core.record import NamedTuple, changed, fields, record
from ..core.workload import Workload, symbol_values
from ..engines.lengths import LengthLimit, refusal_text
from ..engines.served_models import unserved_note
from ..estimate.hardware import Accelerator
from ..inputs.defaults import RESERVE
from ..kernels.cost import COMMUNICATION, ENGINE, LAUNCHES, NO_COST, NO_TIME, Cost, StepTime
from ..kernels.efficiency import GENERIC, Efficiency
from ..kernels.interval import time_interval
from .calibration import MeasuredDeployment
from .memory import EngineMemory
from .request_times import weight_bytes
from .step.step import StepModel, Values

DECODE, PREFILL, GENERATE = MODES = ("decode", "prefill", "generate")
SIMPSON = ((0.0, 1 / 6), (0.5, 4 / 6), (1.0, 1 / 6))  # points of the growing context, and their weights


class Part(NamedTuple):
    """Part of a step.

    Attributes:
        name: component, collective, or ``launches`` or ``engine``.
        seconds: time of the part in all steps.
        bound: ``memory``, ``compute``, ``communication``, ``launches`` or ``engine``.
        moved: bytes that kernels read and write.
        flops: FLOPs of contractions.
    """

    name: str
    seconds: float
    bound: str
    moved: float = 0.0
    flops: float = 0.0


@record
class Latency(NotebookDisplay):
    """Time of one batch on a number of GPUs.

    Attributes:
        model: kernels of the steps.
        workload: the decode step, the prefill, or the prompt of a generation.
        mode: ``decode``, ``prefill`` or ``generate``.
        new_tokens: number of generated tokens per sequence.
        steps: time of each kind of step, with the number of such steps.
        count: number of GPUs.
        limit: how long sequences may be in the engine.
        errors: logarithmic standard deviations of measured times, ``between`` and ``inside`` deployments.
        formats: number formats of weights, experts, attention and cache, by the name of their setting.
        measured: measurements of this deployment, whose factors calibrate the times, or None.
        notes: assumptions.
        has_default_layout: whether the layout was chosen for these sizes, so that other sizes may have another one.
        is_usual: whether it is tensor parallelism over all GPUs, or given.
        engine_memory: how the engine starts on these GPUs, and its cache, or None if it is unknown.
    """

    model: StepModel
    workload: Workload
    mode: str
    new_tokens: int
    steps: tuple[tuple[StepTime, float], ...]
    count: int
    limit: LengthLimit
    errors: Mapping[str, float]
    formats: Mapping[str, str | None]
    measured: MeasuredDeployment | None = None
    notes: tuple[str, ...] = ()
    has_default_layout: bool = False
    is_usual: bool = True
    engine_memory: EngineMemory | None = None

    EVIDENCE: ClassVar[dict[str, str]] = dict.fromkeys(("seconds", "low", "high", "tokens_per_s"), "fitted")

    @property
    def architecture(self) -> Architecture:
        """The model."""
        return self.model.architecture

    @property
    def accelerator(self) -> Accelerator:
        """The GPU."""
        return self.model.accelerator

    @cached_property
    def seconds(self) -> float:
        """Time of the batch."""
        return float(sum(step.seconds * times for step, times in self.steps))

    @property
    def efficiencies(self) -> dict[tuple[str, str], Efficiency]:
        """Coefficients of the kernels, by kind and format."""
        return {key: found for step, _ in self.steps for key, found in step.efficiencies.items()}

    @cached_property
    def interval(self) -> Interval:
        """Interval of 80 % of the time, with the reasons for its width."""
        engine, stages = self.model.engine, self.model.stage_batches
        unknown = engine.name if not engine.is_known else "pipeline stages" if stages > 1 else ""
        measurements = self.measured.n_rows if self.measured and self.mode != PREFILL else 0
        return time_interval(self.seconds, self.errors, self.efficiencies.values(), unknown, measurements)

    @property
    def low(self) -> float:
        """Lower end of the interval of 80 %."""
        return float(self.interval.low)

    @property
    def high(self) -> float:
        """Upper end of the interval of 80 %."""
        return float(self.interval.high)

    @property
    def length(self) -> int:
        """Tokens of a sequence at the end."""
        return self.workload.context + self.workload.seq + max(self.new_tokens - 1, 0)

    @property
    def too_long(self) -> str:
        """Why the engine refuses the length of a sequence, or an empty string."""
        name = "context" if self.mode == DECODE else "seq"
        return self.length_refusal(name, getattr(self.workload, name))

    def length_refusal(self, name: str, given: int) -> str:
        """Return why the engine refuses the length of a sequence, and the longest value of the setting, or nothing."""
        tokens = self._request_tokens
        return refusal_text(self.limit.refusal(tokens), tokens - (self.limit.allowed or tokens), {name: given})

    @property
    def excess(self) -> str:
        """That a sequence has more tokens than the model accepts, if the engine accepts it, or empty."""
        return self.limit.excess(self._request_tokens)

    @property
    def _request_tokens(self) -> int:
        """Tokens of a sequence, including all generated ones. The last one is not an input of any step."""
        return self.workload.context + self.workload.seq + self.new_tokens

    @property
    def unserved(self) -> str:
        """That no engine, or not the default one, serves the model whose kernels are estimated, or empty."""
        return unserved_note(self.model.engine.name, self.architecture)

    @property
    def tokens(self) -> int:
        """Number of tokens that the batch computes (a prefill) or generates."""
        return self.workload.batch * {DECODE: 1, PREFILL: self.workload.seq, GENERATE: self.new_tokens}[self.mode]

    @property
    def tokens_per_s(self) -> float:
        """Tokens per second over all sequences."""
        return self.tokens / self.seconds

    @property
    def is_encoder(self) -> bool:
        """Whether the model reads sequences and generates no tokens."""
        return self.architecture.main.role == "encoder"

    @property
    def sequences_per_s(self) -> float:
        """Sequences per second that are read or generated. A decode step computes one token of each."""
        return self.workload.batch / self.seconds

    @property
    def first_token_s(self) -> float | None:
        """Time to the first token of a generation, or None."""
        return float(self.steps[0][0].seconds * self.steps[0][1]) if self.mode == GENERATE else None

    @cached_property
    def total(self) -> Cost:
        """Cost of all kernels in all steps."""
        total = NO_COST
        for step, times in self.steps:
            total = total.plus(step.total, times)
        return total

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Parts of the time, the largest first. Their sum is ``seconds``."""
        whole = NO_TIME
        for step, times in self.steps:
            whole = whole.plus(step, times)
        costs = whole.components.items()
        found = [Part(name, cost.seconds, cost.bound, cost.moved, cost.flops) for name, cost in costs]
        found += [Part(name, seconds, COMMUNICATION) for name, seconds in whole.collectives.items()]
        found += [Part(LAUNCHES, whole.launches, LAUNCHES), Part(ENGINE, whole.engine, ENGINE)]
        return tuple(sorted((part for part in found if part.seconds), key=lambda part: -part.seconds))

    @property
    def by_bound(self) -> dict[str, float]:
        """Time by what limits it, the largest first."""
        found = summed((part.bound, part.seconds) for part in self.parts)
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    @cached_property
    def memory(self) -> Fit:
        """Memory that one GPU needs for the batch, and that it has, as ``fit`` computes it.

        If parts of the model have weights in formats of their own, their bytes replace those of one format.
        """
        from ..fitting.check import check_fit
        from ..fitting.fit import resources

        mesh, formats = self.model.mesh, self.formats
        _, _, total, reserve = resources(self.accelerator.name, None, None, RESERVE)
        served: dict[str, Any] = {"batch": self.workload.batch, "seq": self.length, "weights": formats["weights"]}
        served |= {"cache": formats["cache"]} if formats["cache"] else {}
        found = check_fit(self.architecture, total, reserve, mesh.ranks, mesh=mesh, **served)
        if not (formats["experts"] or formats["attention_weights"]):
            return found
        return changed(found, needed=found.needed - found.result.weights + round(weight_bytes(self.model)))

    @cached_property
    def prompt(self) -> Latency | None:
        """Latency of the prefill of the context of a decode step, or None."""
        if self.mode != DECODE or not self.workload.context:
            return None
        own = changed(self.workload, mode="forward", seq=self.workload.context, context=0, source=None)
        return changed(self, workload=own, mode=PREFILL, steps=batch_steps(self.model, own, PREFILL, 0, self.measured))

    def part_on(self, part: str, sizes: Mapping[str, Number]) -> Number:
        """Return ``seconds``, ``low``, ``high`` or ``tokens_per_s`` of a decode step or a prefill of other sizes.

        Args:
            part: name of the value.
            sizes: ``batch``, and ``context`` or ``seq``, as numbers or arrays. Others are those of the workload, and
                the layout is the same.
        """
        own = {each.name: getattr(self.workload, each.name) for each in fields(self.workload)} | dict(sizes)
        values = symbol_values(self.architecture.is_encoder_decoder and self.mode != DECODE, own)
        values = {**values, "b": -(-own["batch"] // self.model.n_batches)}  # all stages have a batch
        mesh, scheduled = self.model.mesh, self.model.engine.is_scheduled
        batches = namespace(own["batch"]).minimum(mesh.pp, -(-own["batch"] // mesh.dp))
        if self.mode == DECODE:
            seconds, tokens = self.model.step(values, scheduled=scheduled, batches=batches).seconds, own["batch"]
        else:
            step = self.model.step(prefill=values, scheduled=scheduled, batches=batches)
            seconds, tokens = step.seconds * (1 + (batches - 1) / mesh.pp), own["batch"] * own["seq"]
        return tokens / seconds if part == "tokens_per_s" else seconds * (getattr(self, part) / self.seconds)

    @property
    def fits(self) -> bool:
        """Whether the engine starts on the GPUs, and they store the batch."""
        return not self.refusal

    @cached_property
    def refusal(self) -> str:
        """Why the engine does not compute the batch, or an empty string.

        The engine's own cache decides, and of an engine whose memory is not described, the plain memory of the batch.
        """
        own = self.engine_memory
        if self.too_long:
            return self.too_long
        if own is None or own.pool is None or self.unserved:
            needed, usable = (f"{size / 2**30:#.4g} GiB" for size in (self.memory.needed, self.memory.usable))
            return "" if self.memory.fits else f"Does not fit: {needed} needed per GPU, {usable} usable"
        start = own.start
        if start and not start.starts:
            return start.summary
        if start and start.automatic:  # what llama.cpp moves to host memory has another speed
            return f"Does not fit: {start.profile.title} starts{start.placement}"
        batch, held = -(-self.workload.batch // self.model.mesh.dp), float(own.pool.requests(self.length))
        if own.pool.space <= 0:
            return start.summary if start else "Does not fit: the weights need more memory than there is"
        sequences = f"{batch:,} sequence{'s' * (batch > 1)} of {self.length:,} tokens"
        return "" if held >= batch else f"Does not fit: {sequences}, and the KV cache holds {held:,.3g}"

    @property
    def measured_on(self) -> tuple[str, ...]:
        """GPUs on which the kernels were measured."""
        found: dict[str, list[str]] = {}
        for (kind, kernel), each in self.efficiencies.items():
            where = "all measured GPUs" if each.origin == GENERIC else each.accelerator
            found.setdefault(f"{each.origin}, {where}", []).append(f"{kind.replace('_', ' ')} {kernel}".strip())
        return tuple(f"{name}: {', '.join(kinds)}" for name, kinds in found.items())

    @property
    def summary(self) -> str:
        """One-line summary of the result."""
        return f"{self.architecture.name}: {self.mode} {self.seconds:.4g} s ({self.low:.4g} to {self.high:.4g})"

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        names = (
            "seconds", "low", "high", "tokens_per_s", "sequences_per_s", "first_token_s", "fits", "mode", "by_bound",
        )  # fmt: skip
        known = {name: getattr(self, name) for name in names}
        if self.refusal:  # a batch that does not run has no times
            known |= dict.fromkeys(names[:6])
        running, used = self.workload.batch * self.fits, self.model.mesh.ranks
        rate = None if self.mode == PREFILL else known["tokens_per_s"]
        return {
            **known, "reason": self.refusal, "gpus": self.count, "gpus_used": used,
            "requests_running": running, "requests_waiting": self.workload.batch - running,
            "output_tokens_per_s": rate, "output_tokens_per_s_gpu": rate and rate / used,
            "bytes_moved": round(self.total.moved),
            "flops": round(self.total.flops),
            "parts": [
                {"name": part.name, "seconds": part.seconds, "bound": part.bound, "bytes": round(part.moved),
                 "flops": round(part.flops)}
                for part in self.parts
            ],
            "measured_on": list(self.measured_on),
            "reasons": list(self.interval.reasons),
            "evidence": self.evidence,
        }  # fmt: skip


def values_of(model: StepModel, workload: Workload) -> Values:
    """Return the values of the workload symbols of the batch of one data-parallel rank in a pipeline stage."""
    values = workload.values(model.architecture)
    return {**values, "b": -(-workload.batch // (model.mesh.dp * batches_of(model, workload)))}


def batches_of(model: StepModel, workload: Workload) -> int:
    """Return the number of batches into which the sequences of a data-parallel rank are divided for pipeline stages."""
    return min(model.stage_batches, -(-workload.batch // model.mesh.dp))


def batch_steps(
    model: StepModel, workload: Workload, mode: str, new_tokens: int, measured: MeasuredDeployment | None = None
) -> tuple[tuple[StepTime, float], ...]:
    """Return the time of each kind of step of a batch, with the number of such steps.

    The context of a generation grows, so its decode steps are integrated over three lengths. Factors of measurements
    change the times of the steps. They are fitted to times per output token, so that measurements narrow no interval of
    a prefill.
    """
    step = partial(model.step, scheduled=model.engine.is_scheduled, batches=batches_of(model, workload))
    if mode == DECODE:
        steps: tuple[tuple[StepTime, float], ...] = ((step(decode=values_of(model, workload)), 1.0),)
    else:
        prefill = step(prefill=values_of(model, workload))
        rest = _decoded(model, workload, new_tokens if mode == GENERATE else 1, step)
        passed = 1 + (batches_of(model, workload) - 1) / model.stage_batches  # batches leave one by one
        steps = ((prefill, passed), *rest)
    if not measured:
        return steps
    scale = partial(measured.factors.scale, usual_s=model.engine.step_s)
    (first, times), *others = steps
    return ((scale(first, is_prefill=mode != DECODE), times), *((scale(own), number) for own, number in others))


def _decoded(
    model: StepModel, prompt: Workload, new_tokens: int, step: Callable[..., StepTime]
) -> tuple[tuple[StepTime, float], ...]:
    """Return the decode steps of a generation after the first token, as steps of three lengths of the context."""
    number = new_tokens - 1
    if not number:
        return ()
    values = values_of(model, prompt)
    lengths: Mapping[float, Values] = {
        share: {**values, "q": 1, "c": values["k"] + share * (number - 1), "k": values["k"] + share * (number - 1) + 1,
                "n": 0}
        for share, _ in SIMPSON
    }  # fmt: skip
    return tuple((step(decode=lengths[share]), weight * number) for share, weight in SIMPSON)
