"""Latency of a batch on GPUs: a decode step, a prefill, or a whole generation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..calc.memory.fit import Fit
from ..calc.sharding import MESH, Mesh
from ..calc.touched_experts import expert_layers
from ..core.architecture import Architecture
from ..core.errors import InputError, SizeError
from ..core.record import NamedTuple, changed
from ..core.setting import BATCH, CONTEXT, SIZE, Setting, check_values, read_lengths
from ..core.workload import Workload
from ..data import table
from ..engines.hardware import check_engine, check_weights, default_engine
from ..estimate.hardware import Accelerator
from ..fitting.advice import Change, Settings, advice
from ..inputs.defaults import RESERVE, default_context, default_seq
from ..inputs.gguf_names import file_format
from ..inputs.gpus import Gpus, read_gpus
from ..inputs.models import Source, read_model
from .calibration import read_calibration
from .factors import Factors
from .latency_times import DECODE, GENERATE, MODES, PREFILL, Latency
from .latency_times import latency as compute
from .step.step import StepModel
from .step.step_models import check_layout, engine_step, step_model
from .times import weight_bytes
from .under_load import ServingLayout

NEW_TOKENS = 128
LAYOUT = ("tp", "pp", "dp", "ep")
FORMATS = ("weights", "experts", "attention_weights", "cache")
MOST_SUGGESTED = 128  # GPUs that an error suggests for tensor parallelism
ENGINES = ("vllm", "sglang", "tensorrt-llm", "torch-compile", "llama.cpp")
ARGUMENTS = (
    "mode", "context", "seq", "new_tokens", *LAYOUT, *FORMATS, "engine", "engine_version", "calibration",
)  # fmt: skip
Choose = Callable[[Architecture, Gpus, tuple[int, int], str, Mapping[str, str | None], int, str | None], ServingLayout]
SETTINGS = (
    Setting("gpu", SIZE), Setting("mode", choices=MODES), BATCH, CONTEXT, Setting("seq", int, least=1),
    Setting("new_tokens", int, least=1), *(each for each in MESH if each.name in LAYOUT),
    *(Setting(name) for name in (*FORMATS, "engine", "engine_version")),
)  # fmt: skip


class Batch(NamedTuple):
    """What a batch computes.

    Attributes:
        mode: ``decode``, ``prefill`` or ``generate``.
        read: tokens of a sequence that are cached before a decode step, or that a prefill reads.
        generated: number of generated tokens per sequence, or 0.
    """

    mode: str
    read: int
    generated: int

    @property
    def lengths(self) -> tuple[int, int]:
        """Input and output tokens of requests that are like the sequences of the batch."""
        return max(self.read, 1), 1 if self.mode == PREFILL else self.generated or NEW_TOKENS

    def workload(self, architecture: Architecture, sequences: int) -> Workload:
        """Return the decode step, the prefill, or the prompt of a generation, whose last token must have a position."""
        if self.mode == DECODE:
            return Workload(batch=sequences, seq=1, mode=DECODE, context=self.read, logits="last")
        if self.generated:
            Workload(seq=1, mode=DECODE, context=self.read + self.generated - 1).values(architecture)
        return Workload(batch=sequences, seq=self.read, logits="last")


def batch_latency(model: Source, gpu: str, asked: Mapping[str, Any], choose: Choose | None = None) -> Latency:
    """Estimate the time of a batch on GPUs, as ``latency`` describes.

    Args:
        model: an architecture, or anything ``load`` reads.
        gpu: accelerator with an optional count.
        asked: the other arguments of ``latency``.
        choose: returns the default layout of several GPUs.
    """
    given = read_lengths({**dict.fromkeys(ARGUMENTS), "batch": 1, **asked, "gpu": gpu})
    check_values(SETTINGS, given)
    gpus, architecture = _gpus(gpu), read_model(model)
    assert gpus.accelerator is not None
    name, calibrated, notes = _engine(architecture, gpus.accelerator, given)
    engine = engine_step(name)
    formats, version = {name: given[name] for name in FORMATS}, given["engine_version"]
    weights, experts, attention = (given[name] for name in FORMATS[:-1])
    check_weights(engine.name, gpus.accelerator, (weights, experts or weights, attention or weights), architecture)
    batch, layout = _batch(architecture, given), None
    if choose and not any(given[name] for name in LAYOUT) and not engine.divides_layers and (gpus.count or 1) > 1:
        layout = choose(architecture, gpus, batch.lengths, engine.name, formats, given["batch"], version)
        given |= {name: getattr(layout.mesh, name) for name in LAYOUT}
    elif engine.divides_layers and not given["tp"]:
        given["pp"] = given["pp"] or max((gpus.count or 1) // (given["dp"] or 1), 1)
    mesh, count = _mesh(architecture, gpus, given["tp"], given["pp"] or 1, given["dp"], given["ep"])
    if experts and not expert_layers(architecture):
        raise InputError(f"has no effect on {architecture.name}, which has no experts", parameter="experts")
    workload = batch.workload(architecture, given["batch"])
    if not (weights or experts or attention):
        formats["weights"] = file_format(architecture, engine.name)
    step = partial(
        step_model, architecture, gpus.accelerator, engine=name, engine_version=version,
        **dict[str, Any](formats),
    )  # fmt: skip
    try:
        own = step(mesh=mesh)
    except SizeError as error:
        if (given["tp"] and not layout) or mesh.tp == 1 or error.parameter != "tp":
            raise
        raise _undividable(step, mesh, gpus, error) from None
    if version and not own.engine.depends_on_version:
        raise InputError(f"has no effect on the times of {own.engine.name}", parameter="engine_version")
    measured = table("time_errors")
    errors = measured.get(f"latency of {own.engine.name}", measured["latency"])
    if calibrated and batch.mode != PREFILL:
        errors = measured["tpot"]
    length = workload.context + workload.seq + max(batch.generated - 1, 0)
    served = {"batch": given["batch"], "seq": length, "weights": formats["weights"]}
    served |= {"cache": formats["cache"]} if formats["cache"] else {}

    def find_memory() -> Fit:
        return _memory(own, served, has_other_weights=bool(experts or attention))

    notes = (*notes, *(layout.notes if layout else ()))
    found = compute(own, workload, batch.mode, batch.generated, count, errors, find_memory, calibrated, notes)
    return changed(found, has_default_layout=True, is_usual=layout.is_usual) if layout else found


def _engine(
    architecture: Architecture, card: Accelerator, given: Mapping[str, Any]
) -> tuple[str, tuple[Factors, int] | None, tuple[str, ...]]:
    """Return the name of the given, the measured or the default engine, factors of the times, and notes."""
    engine, weights, calibrated, notes = given["engine"], given["weights"], None, tuple[str, ...]()
    if given["calibration"] is not None:
        name = engine_step(engine).name if engine else None
        found = read_calibration(given["calibration"]).find(architecture, card.name, name, weights)
        engine, calibrated = found.engine, (found.factors, found.n_rows)
    if not engine:
        assumed = default_engine(architecture, card, weights)
        engine, notes = assumed.name, tuple(assumed.notes)
    check_engine(engine_step(engine).name, card)
    return str(engine), calibrated, notes


def _batch(architecture: Architecture, given: Mapping[str, Any]) -> Batch:
    """Return what a batch computes, with the default lengths."""
    mode = _mode(architecture, given["mode"], given)
    generated = (given["new_tokens"] or NEW_TOKENS) if mode == GENERATE else 0
    if mode == DECODE:
        usual = default_context(architecture)
        return Batch(mode, usual if given["context"] is None else given["context"], generated)
    usual = default_seq(architecture) if mode == PREFILL else default_context(architecture, generated)
    return Batch(mode, given["seq"] or usual, generated)


def _memory(model: StepModel, served: dict[str, Any], *, has_other_weights: bool) -> Fit:
    """Return the memory of one GPU as ``fit`` computes it.

    If parts of the model have weights in formats of their own, their bytes replace those of one format.
    """
    from ..fitting.check import check_fit
    from ..fitting.fit import resources

    mesh = model.mesh
    _, _, total, reserve = resources(model.accelerator.name, None, None, RESERVE)
    found = check_fit(model.architecture, total, reserve, mesh.ranks, mesh=mesh, **served)
    if not has_other_weights:
        return found
    return changed(found, needed=found.needed - found.result.weights + round(weight_bytes(model)))


def _gpus(gpu: str) -> Gpus:
    found = read_gpus(gpu) if isinstance(gpu, str) else None
    if found is None or found.accelerator is None:
        hint = "use a name such as {gpu=h100:4}"
        raise InputError("the time depends on the GPU, not only on its memory", parameter="gpu", hint=hint)
    return found


def _undividable(step: Callable[..., StepModel], mesh: Mesh, gpus: Gpus, error: SizeError) -> InputError:
    """Return an error that suggests the nearest numbers of GPUs that the model can be divided over."""
    assert gpus.accelerator is not None
    fewer = range(min(mesh.tp - 1, MOST_SUGGESTED), 0, -1)
    more = range(mesh.tp + 1, min(2 * mesh.tp, MOST_SUGGESTED) + 1)

    def attempt(change: Settings) -> Change:
        tp = change["tp"]
        return Change(
            change, step(mesh=changed(mesh, tp=tp, etp=None if mesh.etp is None else tp * mesh.dp // mesh.ep))
        )

    kinds = [[{"tp": tp} for tp in sizes] for sizes in (fewer, more)]
    found = advice(lambda _: kinds, attempt, lambda _: True)
    counts = [change.settings["tp"] * mesh.dp * mesh.pp for change in found]
    names = [f"{{gpu={gpus.accelerator.name}:{count}}}" for count in counts]
    text = f"tensor parallelism over {mesh.tp} GPUs is not possible: {error.message}"
    return InputError(text, parameter="gpu", hint=f"use {' or '.join(names)}, or set {{tp=N}}")


def _mode(architecture: Architecture, mode: str | None, given: Mapping[str, Any]) -> str:
    """Return the mode, and check that every given length has an effect in it."""
    only_reads = architecture.main.role == "encoder"
    implied = GENERATE if given["new_tokens"] else PREFILL if given["seq"] or only_reads else DECODE
    chosen = mode or implied
    if only_reads and chosen != PREFILL:
        problem = f"{architecture.name} is an encoder, which generates no tokens"
        raise InputError(problem, parameter="mode", hint="use {mode=prefill}")
    lengths = {DECODE: ("context",), PREFILL: ("seq",), GENERATE: ("seq", "new_tokens")}
    for name in ("context", "seq", "new_tokens"):
        if given[name] is not None and name not in lengths[chosen]:
            fitting = next(mode for mode, names in lengths.items() if name in names)
            raise InputError(f"has no effect in {chosen} mode", parameter=name, hint=f"use {{mode={fitting}}}")
    return chosen


def _mesh(
    architecture: Architecture, gpus: Gpus, tp: int | None, pp: int, dp: int | None, ep: int | None
) -> tuple[Mesh, int]:
    """Return the layout and the number of GPUs."""
    dp = dp or 1
    tp = tp or max((gpus.count or 1) // (dp * pp), 1)
    has_experts = bool(expert_layers(architecture))
    if ep and ep > 1 and not has_experts:
        raise InputError(f"has no effect on {architecture.name}, which has no experts", parameter="ep")
    ep = ep or 1
    etp = max(dp * tp // ep, 1) if has_experts and (dp > 1 or ep > 1) else None
    mesh = Mesh(dp=dp, tp=tp, pp=pp, ep=ep, etp=etp)
    count = gpus.count or mesh.ranks
    assert gpus.accelerator is not None
    check_layout(architecture, gpus.accelerator, mesh, count)
    return mesh, count
