"""Latency of a batch on GPUs: a decode step, a prefill, or a whole generation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ..calc.sharding import Mesh
from ..calc.touched_experts import expert_layers
from ..core.architecture import Architecture
from ..core.errors import InputError, SizeError
from ..core.record import NamedTuple, changed
from ..core.setting import check_values, read_lengths
from ..core.workload import Workload, positions
from ..data import table
from ..engines.hardware import check_weights
from ..engines.served_models import check_model
from ..estimate.hardware import Accelerator
from ..fitting.advice import Change, Settings, advice
from ..inputs.defaults import default_context, default_seq
from ..inputs.gguf_names import file_format
from ..inputs.gpus import named_gpus
from ..inputs.models import Source, read_model
from ..inputs.serving_settings import LATENCY
from .calibration import MeasuredDeployment
from .latency_times import DECODE, GENERATE, PREFILL, Latency, batch_steps
from .memory import EngineMemory, batch_start, free_memory
from .replicas import SIZES
from .requests import read_requests
from .service import FORMATS, WEIGHTS, Service, chosen_engine
from .step.step import StepModel
from .step.step_models import check_layout, engine_step, step_model
from .under_load import ServingLayout

NEW_TOKENS = 128
MOST_SUGGESTED = 128  # GPUs that an error suggests for tensor parallelism
ARGUMENTS = tuple(setting.name for setting in LATENCY if setting.name not in ("gpu", "batch"))
# function of a service, the batch size and the speed of a layout, which returns the layout to assume
Choose = Callable[[Service, int, Callable[[Mesh], float]], ServingLayout]


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
        """Return the decode step, the prefill, or the prompt of a generation.

        A batch beyond the learned positions is computed too, and the result says that the engine refuses its length.
        """
        new, most = 1 if self.mode == DECODE else self.generated, positions(architecture)
        is_beyond = most is not None and self.read + new > most
        if self.mode == DECODE:
            return Workload(batch=sequences, seq=1, mode=DECODE, context=self.read, logits="last", extend=is_beyond)
        return Workload(batch=sequences, seq=self.read, logits="last", extend=is_beyond)


def batch_latency(model: Source, gpu: str, asked: Mapping[str, Any], choose: Choose | None = None) -> Latency:
    """Estimate the time of a batch on GPUs, as ``latency`` describes.

    Args:
        model: an architecture, or anything ``load`` reads.
        gpu: accelerator with an optional count.
        asked: the other arguments of ``latency``.
        choose: returns the default layout of several GPUs.
    """
    given = read_lengths({**dict.fromkeys(ARGUMENTS), "batch": 1, **asked, "gpu": gpu})
    check_values(LATENCY, given)
    (card, number), architecture = named_gpus(gpu), read_model(model)
    service, measured, batch = _read(architecture, card, number or 1, given)
    if given["experts"] and not expert_layers(architecture):
        raise InputError(f"has no effect on {architecture.name}, which has no experts", parameter="experts")
    workload = batch.workload(architecture, given["batch"])

    def speed(mesh: Mesh) -> float:
        steps = _steps(service, mesh, is_given=True)
        length = workload.context + workload.seq + max(batch.generated - 1, 0)
        memory, sequences = _engine_memory(service, steps, length, workload.batch), -(-workload.batch // mesh.dp)
        if memory and memory.pool and memory.pool.requests(length) < sequences:
            return 0.0
        tried = batch_steps(steps, workload, batch.mode, batch.generated)
        return 1 / float(sum(step.seconds * times for step, times in tried))

    mesh, count, layout = _layout(service, number, given, choose, speed)
    steps = _steps(service, mesh, is_given=bool(given["tp"]))
    found, errors = batch_steps(steps, workload, batch.mode, batch.generated, measured), table("time_errors")
    own = errors.get(f"latency of {service.engine}", errors["latency"])
    result = Latency(
        steps, workload, batch.mode, batch.generated, found, count, service.limit,
        errors["tpot"] if measured and batch.mode != PREFILL else own, service.formats, measured,
        (*service.assumed, *(layout.notes if layout else ())), has_default_layout=layout is not None,
        is_usual=layout is None or layout.is_usual,
    )  # fmt: skip
    return changed(result, engine_memory=_engine_memory(service, steps, result.length, given["batch"]))


def _read(
    architecture: Architecture, card: Accelerator, count: int, given: Mapping[str, Any]
) -> tuple[Service, MeasuredDeployment | None, Batch]:
    """Return requests like the sequences of a batch in an engine, what was measured there, and the batch.

    Measurements change the times of the batch, and not its default layout. A given engine must serve the model, and the
    kernels of others are estimated as if the default engine served it.
    """
    formats = {name: given[name] for name in FORMATS}
    engine, measured, assumed = chosen_engine(
        architecture, card, formats["weights"], given["engine"], given["calibration"]
    )
    if given["engine"]:
        check_model(engine, architecture)
    check_weights(engine, card, [formats[name] or formats["weights"] for name in WEIGHTS], architecture)
    batch, version = _batch(architecture, given), given["engine_version"]
    if not any(formats[name] for name in WEIGHTS):
        formats["weights"] = file_format(architecture, engine)
    service = Service(
        architecture, card, count, read_requests(*batch.lengths), engine, formats,
        {"engine_version": version} if version else {}, assumed=assumed,
    )  # fmt: skip
    return service, measured, batch


def _layout(
    service: Service,
    number: int | None,
    given: Mapping[str, Any],
    choose: Choose | None,
    speed: Callable[[Mesh], float],
) -> tuple[Mesh, int, ServingLayout | None]:
    """Return the layout of a batch, the number of GPUs, and what is assumed about a layout that is not given."""
    sizes, chosen = {name: given[name] for name in SIZES}, None
    if (sizes["ep"] or 1) > 1 and not expert_layers(service.architecture):
        text = f"has no effect on {service.architecture.name}, which has no experts"
        raise InputError(text, parameter="ep")
    is_free = not any(sizes.values()) and not engine_step(service.engine).divides_layers
    if choose and service.count > 1 and is_free:
        chosen = choose(service, given["batch"], speed)
    mesh = chosen.mesh if chosen else service.mesh_of(sizes)
    count = number or mesh.ranks
    check_layout(service.architecture, service.card, mesh, count)
    return mesh, count, chosen


def _engine_memory(service: Service, steps: StepModel, length: int, sequences: int) -> EngineMemory | None:
    """Return how the engine starts for a batch, or None for versions whose memory is not described."""
    with suppress(InputError):
        found = free_memory(service, steps, service.formats)
        return found._replace(start=found.start or batch_start(service, steps, length, sequences))
    return None


def _steps(service: Service, mesh: Mesh, *, is_given: bool) -> StepModel:
    """Return the steps of a batch.

    Raises:
        InputError: a number of GPUs that does not divide the model, unless it ``is_given`` as tensor-parallel ranks,
            or a version of the engine without an effect on the times.
    """
    version = service.given.get("engine_version")

    def steps_on(mesh: Mesh) -> StepModel:
        formats = dict[str, Any](service.formats)
        return step_model(service.architecture, service.card, mesh, service.engine, engine_version=version, **formats)

    try:
        found = steps_on(mesh)
    except SizeError as error:
        if is_given or mesh.tp == 1 or error.parameter != "tp":
            raise
        raise _undividable(steps_on, mesh, service.card, error) from None
    if version and not found.engine.depends_on_version:
        raise InputError(f"has no effect on the times of {found.engine.name}", parameter="engine_version")
    return found


def _batch(architecture: Architecture, given: Mapping[str, Any]) -> Batch:
    """Return what a batch computes, with the default lengths."""
    mode = _mode(architecture, given["mode"], given)
    generated = (given["new_tokens"] or NEW_TOKENS) if mode == GENERATE else 0
    if mode == DECODE:
        usual = default_context(architecture)
        return Batch(mode, usual if given["context"] is None else given["context"], generated)
    usual = default_seq(architecture) if mode == PREFILL else default_context(architecture, generated)
    return Batch(mode, given["seq"] or usual, generated)


def _undividable(steps_on: Callable[[Mesh], StepModel], mesh: Mesh, card: Accelerator, error: SizeError) -> InputError:
    """Return an error that suggests the nearest numbers of GPUs that the model can be divided over."""
    fewer = range(min(mesh.tp - 1, MOST_SUGGESTED), 0, -1)
    more = range(mesh.tp + 1, min(2 * mesh.tp, MOST_SUGGESTED) + 1)

    def attempt(change: Settings) -> Change:
        tp = change["tp"]
        own = changed(mesh, tp=tp, etp=tp * mesh.dp // mesh.ep)
        return Change(change, steps_on(own))

    kinds = [[{"tp": tp} for tp in sizes] for sizes in (fewer, more)]
    found = advice(lambda _: kinds, attempt, lambda _: True)
    names = [f"{{gpu={card.name}:{change.settings['tp'] * mesh.dp * mesh.pp}}}" for change in found]
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
