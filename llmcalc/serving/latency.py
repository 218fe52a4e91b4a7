"""Latency of a batch on GPUs: a decode step, a prefill, or a whole generation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ..calc.memory.fit import Fit
from ..calc.sharding import MESH, Mesh
from ..calc.touched_experts import expert_layers
from ..core.architecture import Architecture
from ..core.errors import InputError, SizeError
from ..core.record import changed
from ..core.setting import BATCH, CONTEXT, SIZE, Setting, check_values, read_lengths
from ..core.workload import Workload
from ..data import table
from ..engines.hardware import check_engine, check_weights, default_engine
from ..inputs.defaults import RESERVE, default_context, default_seq
from ..inputs.gguf_names import file_format
from ..inputs.gpus import Gpus, read_gpus
from ..inputs.models import Source, read_model
from .calibration import Calibration, read_calibration
from .latency_times import DECODE, GENERATE, MODES, PREFILL, Latency
from .latency_times import latency as compute
from .step.step import StepModel
from .step.step_models import check_layout, engine_step, step_model
from .times import weight_bytes

if TYPE_CHECKING:
    from .point import ServingLayout

NEW_TOKENS = 128
LAYOUT = ("tp", "pp", "dp", "ep")
FORMATS = ("weights", "experts", "attention_weights", "cache")
MOST_SUGGESTED = 128  # GPUs that an error suggests for tensor parallelism
ENGINES = ("vllm", "sglang", "tensorrt-llm", "torch-compile", "llama.cpp")
SETTINGS = (
    Setting("gpu", SIZE), Setting("mode", choices=MODES), BATCH, CONTEXT, Setting("seq", int, least=1),
    Setting("new_tokens", int, least=1), *(each for each in MESH if each.name in LAYOUT),
    *(Setting(name) for name in (*FORMATS, "engine", "engine_version")),
)  # fmt: skip


def latency(
    model: Source,
    gpu: str,
    *,
    mode: str | None = None,
    batch: int = 1,
    context: int | str | None = None,
    seq: int | str | None = None,
    new_tokens: int | str | None = None,
    tp: int | None = None,
    pp: int | None = None,
    dp: int | None = None,
    ep: int | None = None,
    weights: str | None = None,
    experts: str | None = None,
    attention_weights: str | None = None,
    cache: str | None = None,
    engine: str | None = None,
    engine_version: str | None = None,
    calibration: Calibration | str | os.PathLike[str] | None = None,
) -> Latency:
    """Estimate the time of a batch on GPUs, with an interval of 80 %.

    >>> import llmcalc
    >>> result = llmcalc.latency("llama3.1-8b", "h100")
    >>> 0.005 < result.low < result.seconds < result.high < 0.012, next(iter(result.by_bound))
    (True, 'memory')

    Args:
        model: an architecture, or anything ``load`` reads.
        gpu: accelerator with an optional count, such as ``"h100:4"``.
        mode: ``decode`` (one new token per sequence after ``context`` tokens), ``prefill`` (of prompts of ``seq``
            tokens) or ``generate`` (``new_tokens`` tokens after prompts of ``seq`` tokens). By default, it follows from
            the lengths that are given, and is ``decode`` without any.
        batch: number of sequences over all GPUs.
        context: decode: number of cached tokens (default: 2048, or the number of learned positions if smaller).
        seq: tokens of a prompt (default: as for ``context``).
        new_tokens: generate: number of new tokens per sequence (default: 128).
        tp: number of tensor-parallel ranks (default: the layout that ``serve`` takes for as many requests of these
            lengths: all GPUs, or the one with the most tokens per second if it is faster).
        pp: number of pipeline stages, which compute as many parts of the batch at once. Those of llama.cpp, which has
            different layers on each GPU by default, compute one batch one after the other.
        dp: number of data-parallel ranks, which share the experts.
        ep: number of expert-parallel ranks, of the ``tp`` · ``dp`` ranks.
        weights: number format of the weights, such as ``fp8-block`` or ``q4_k_m`` (default: as published for the
            engine, or bf16).
        experts: number format of routed experts (default: ``weights``).
        attention_weights: number format of the matrices of attention and recurrences (default: ``weights``).
        cache: number format of keys and values (default: bf16).
        engine: inference engine (default: ``vllm``, or ``llama.cpp`` for its weight formats, and on Apple silicon and
            Radeon). An unknown one has a wide interval.
        engine_version: its version, such as ``0.6`` (default: the newest one). Versions of vLLM before 0.8 have slower
            steps, the more so with many sequences or tensor-parallel ranks.
        calibration: result of ``calibrate``, or its file: the times of your own deployment. The engine is by default
            the measured one.

    Raises:
        InputError: an unknown GPU or format, a layout that the GPUs or the model do not allow, or a setting that has
            no effect.
    """
    settings = {name: value for name, value in locals().items() if name not in ("model", "gpu")}
    given = read_lengths({**settings, "gpu": gpu})
    check_values(SETTINGS, given)
    gpus = _gpus(gpu)
    architecture = read_model(model)
    assert gpus.accelerator is not None
    calibrated = None
    if calibration is not None:
        name = engine_step(engine).name if engine else None
        found = read_calibration(calibration).find(architecture, gpus.accelerator.name, name, weights)
        engine, calibrated = found.engine, (found.factors, found.n_rows)
    assumed = None if engine else default_engine(architecture, gpus.accelerator, weights)
    engine = assumed.name if assumed else engine
    assert engine is not None
    check_engine(engine_step(engine).name, gpus.accelerator)
    check_weights(
        engine_step(engine).name,
        gpus.accelerator,
        (weights, experts or weights, attention_weights or weights),
        architecture,
    )
    chosen = _mode(architecture, mode, given)
    generated = (given["new_tokens"] or NEW_TOKENS) if chosen == GENERATE else 0
    length = default_seq(architecture) if chosen == PREFILL else default_context(architecture, max(generated, 1))
    read = (length if given["context"] is None else given["context"]) if chosen == DECODE else given["seq"] or length
    splits_layers = engine_step(engine).divides_layers
    layout = None
    if not any(given[name] for name in LAYOUT) and not splits_layers and (gpus.count or 1) > 1:
        formats = dict(zip(FORMATS, (weights, experts, attention_weights, cache), strict=True))
        lengths = max(read, 1), 1 if chosen == PREFILL else generated or NEW_TOKENS
        layout = _default_layout(architecture, gpus, lengths, engine, formats, batch, engine_version)
        tp, pp, dp, ep = (getattr(layout.mesh, name) for name in LAYOUT)
    if splits_layers and not tp:
        pp = pp or max((gpus.count or 1) // (dp or 1), 1)
    mesh, count = _mesh(architecture, gpus, tp, pp or 1, dp, ep)
    if experts and not expert_layers(architecture):
        raise InputError(f"has no effect on {architecture.name}, which has no experts", parameter="experts")
    if chosen == DECODE:
        workload = Workload(batch=batch, seq=1, mode=DECODE, context=read, logits="last")
    else:
        workload = Workload(batch=batch, seq=read, logits="last")
    if generated:  # the last token must have a position
        Workload(seq=1, mode=DECODE, context=workload.seq + generated - 1).values(architecture)
    if not (weights or experts or attention_weights):
        weights = file_format(architecture, engine_step(engine).name)
    step = partial(
        step_model, architecture, gpus.accelerator, engine=engine, engine_version=engine_version, weights=weights,
        experts=experts, attention_weights=attention_weights, cache=cache,
    )  # fmt: skip
    try:
        own = step(mesh=mesh)
    except SizeError as error:
        if (tp and not layout) or mesh.tp == 1 or error.parameter != "tp":
            raise
        raise _undividable(step, mesh, gpus, error) from None
    if engine_version and not own.engine.depends_on_version:
        raise InputError(f"has no effect on the times of {own.engine.name}", parameter="engine_version")
    measured = table("time_errors")
    errors = measured.get(f"latency of {own.engine.name}", measured["latency"])
    if calibrated and chosen != PREFILL:
        errors = measured["tpot"]
    served = {"batch": batch, "seq": workload.context + workload.seq + max(generated - 1, 0), "weights": weights}
    served |= {"cache": cache} if cache else {}

    def find_memory() -> Fit:
        return _memory(own, served, has_other_weights=bool(experts or attention_weights))

    notes = (*(assumed.notes if assumed else ()), *(layout.notes if layout else ()))
    found_time = compute(own, workload, chosen, generated, count, errors, find_memory, calibrated, notes)
    return changed(found_time, has_default_layout=True, is_usual=layout.is_usual) if layout else found_time


def _default_layout(
    architecture: Architecture,
    gpus: Gpus,
    lengths: tuple[int, int],
    engine: str,
    formats: Mapping[str, str | None],
    batch: int,
    version: str | None,
) -> ServingLayout:
    """Return the layout that ``serve`` takes for as many requests as the batch has sequences, on one engine."""
    from ..search.default_layout import default_layout  # needed only by several GPUs
    from ..search.space import Space
    from .requests import read_requests
    from .service import Service

    assert gpus.accelerator is not None
    name, given = engine_step(engine).name, {"engine_version": version} if version else {}
    if not any(formats[each] for each in FORMATS[:-1]):
        formats = {**formats, "weights": file_format(architecture, name)}
    card, requests = gpus.accelerator, read_requests(*lengths)
    service = Service(architecture, card, gpus.count or 1, requests, name, formats, given)
    found = default_layout(Space(service), batch, in_one=True)
    number = f"{batch:,} request{'s' * (batch > 1)} of {lengths[0]:,} and {lengths[1]:,} tokens on one engine"
    notes = (*found.notes, f"this is the layout of serve for {number}") if found.notes else ()
    return found._replace(notes=notes)


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

    def is_possible(tp: int) -> bool:
        try:
            return bool(step(mesh=changed(mesh, tp=tp, etp=None if mesh.etp is None else tp * mesh.dp // mesh.ep)))
        except InputError:
            return False

    assert gpus.accelerator is not None
    fewer = range(min(mesh.tp - 1, MOST_SUGGESTED), 0, -1)
    more = range(mesh.tp + 1, min(2 * mesh.tp, MOST_SUGGESTED) + 1)
    found = [next(filter(is_possible, sizes), None) for sizes in (fewer, more)]
    names = [f"{{gpu={gpus.accelerator.name}:{tp * mesh.dp}}}" for tp in found if tp]
    text = f"tensor parallelism over {mesh.tp} GPUs is not possible: {error.message}"
    return InputError(text, parameter="gpu", hint=f"use {' or '.join(names)}, or set {{tp=N}}")


def _mode(architecture: Architecture, mode: str | None, given: dict[str, object]) -> str:
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
