"""The reader of deployments: a model, GPUs and settings, or the command line or Modelfile of an engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..calc.memory.fit import read_size
from ..core.aliases import ENGINES as ENGINES_BY_NAME
from ..core.errors import InputError, spelled
from ..core.record import changed
from ..core.setting import check_values, known_choice, read_texts
from ..core.type_names import Any
from ..engines.hardware import check_engine, default_engine
from ..importers.engine_commands import EngineCommand, read_command
from ..importers.modelfile import MODELFILE, RUN, is_modelfile
from ..inputs.effects import check_effects
from ..inputs.gpus import Gpus, read_gpus
from ..inputs.models import Source
from ..inputs.serving_settings import ENGINES, SERVE
from .deployment import Deployment, deployment
from .start.models import load_served
from .start.ollama import modelfile_command, run_command

REQUESTS = tuple(setting.name for setting in SERVE if setting.part == "requests")  # settings that ask for times
Command = str | Sequence[str]


def read_deployment(
    model: Source | None,
    gpu: str | int | None,
    *,
    command: Command | None = None,
    engine: str | None = None,
    engine_version: str | None = None,
    gpu_memory: str | int | None = None,
    image: Iterable[str] = (),
    settings: Mapping[str, Any],
) -> Deployment:
    """Return what runs where. The arguments are those of ``serve``.

    Raises:
        InputError: an unknown engine, flag or GPU, or an invalid setting.
    """
    check_values(SERVE, {"gpu": gpu, "gpu_memory": gpu_memory, "engine": engine, "engine_version": engine_version})
    gpus = None if gpu is None and gpu_memory is None else gpus_of(gpu, gpu_memory)
    return deployment_on(gpus, model, command, engine, engine_version, tuple(read_texts(image, "image")), settings)


def deployment_on(
    given_gpus: Gpus | None, model: Source | None, command: Command | None, engine: str | None, version: str | None,
    images: tuple[str, ...], settings: Mapping[str, Any],
) -> Deployment:  # fmt: skip
    """Return what runs on GPUs, or on none if the settings of an engine are asked alone.

    The other arguments are those of ``serve``.
    """
    own = {name: value for name, value in settings.items() if value is not None}
    pasted, remarks = read_words(command), tuple[str, ...]()
    if pasted is None and is_modelfile(model):
        words, remarks = modelfile_command(model, engine, settings, given_gpus or gpus_of(None))
        pasted = read_command(words)._replace(program=MODELFILE)
    else:
        if pasted is not None and pasted.program == RUN:
            words, remarks = run_command(pasted, given_gpus or gpus_of(None))
            pasted = read_command(words)._replace(
                listed=pasted.listed, program=pasted.program, environment=pasted.environment
            )
        for name, value in (("model", model), ("engine", engine), *own.items()) if pasted is not None else ():
            if value is not None:
                raise InputError("cannot be combined with a command line", parameter=name, hint="set it in the command")
    if pasted is None:
        check_effects(SERVE, own, None)
    else:
        model, engine, own = pasted.model, pasted.engine, dict(pasted.settings)
        version = version_of(pasted, version)
    if model is None:
        raise InputError("missing model", parameter="model", hint="add a model, or {command=COMMAND}")
    gpus = given_gpus or gpus_of(None)
    architecture, title, weights, notes = load_served(model, is_repository=pasted is not None)
    if engine is None:
        assumed = default_engine(architecture, gpus.accelerator, own.get("weights"))
        engine, remarks = assumed.name, (*remarks, *map(spelled, assumed.notes))
    check_engine(known_choice("engine", engine, ENGINES), gpus.accelerator)
    found = deployment(
        architecture, gpus, engine, version, own, title=title, weights=weights, command=pasted, images=images,
        remarks=remarks, notes=notes,
    )  # fmt: skip
    return changed(found, reader=lambda line, others: deployment_on(others, None, line, None, version, images, {}))


def asks_for_times(settings: Mapping[str, Any]) -> bool:
    """Return whether settings ask for the time of requests."""
    return any(settings.get(name) not in (None, False) for name in REQUESTS)


def read_words(command: Command | None) -> EngineCommand | None:
    """Return what the command line of an engine, as text or words, says, or None if there is none."""
    if command is None:
        return None
    words = command if isinstance(command, str) else read_texts(command, "command")
    if not "".join(words).strip():
        raise InputError("is empty", parameter="command", hint="use a command line such as vllm serve Qwen/Qwen3-8B")
    return read_command(words)


def version_of(command: EngineCommand, given: str | None) -> str | None:
    """Return the version of the engine of a command, which ``given`` or the tag of its container image states."""
    if given and command.version and given != command.version:
        text = f"the image has version {command.version}, not {given}"
        raise InputError(text, parameter="engine_version", hint="omit it, or change the image")
    return given or command.version or None


def engine_name(engine: str | None) -> str | None:
    """Return the name of an engine for one of its names, or another text unchanged."""
    return ENGINES_BY_NAME.get(engine.lower(), engine) if isinstance(engine, str) else engine


def gpus_of(gpu: str | int | None, gpu_memory: str | int | None = None) -> Gpus:
    """Return the GPUs, or the memory of one, which ``gpu_memory`` overrides."""
    if gpu is None and gpu_memory is None:
        raise InputError("missing GPU", parameter="gpu", hint="use a name such as {gpu=h100:4}, or {gpu=24GiB}")
    found = read_gpus(gpu) if isinstance(gpu, str) else Gpus(None, gpu, None)
    if gpu_memory is None:
        return found
    given = read_size(gpu_memory, "gpu_memory") if isinstance(gpu_memory, str) else gpu_memory
    return changed(found, memory_bytes=given)
