"""Requests for times of serving: their settings, or the command line of an engine that has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.record import changed
from ..data import tables
from ..engines.settings import read_engine_settings, setting_flags
from ..importers.engine_commands import read_command
from ..importers.modelfile import RUN, is_modelfile
from ..inputs.gpus import Gpus, read_gpus
from ..inputs.models import Source, read_model
from ..search.front import ServingFront
from ..search.pools import ServingPools
from ..search.serving_search import ServingSearch
from .encoders import PARAMETERS, EncoderServing, encoder_serving
from .point import SETTINGS, serving
from .result import ServingResult
from .start.llama_cpp_fit import PLACED
from .start.models import load_served, stored_format
from .start.ollama import modelfile_command, run_command
from .start.serve import REQUESTS, serve
from .start.start import ServeResult

BESIDE_COMMAND = (*REQUESTS, "engine_version", "price", "calibration", "acceptance_length", "acceptance_rate", "image")


def serving_request(
    model: Source | None,
    gpu: str | int | None,
    given: Mapping[str, Any],
    command: str | Sequence[str] | None,
    others: Mapping[str, Any],
) -> ServingResult | ServingSearch | ServingFront | ServingPools | EncoderServing:
    """Return the time of requests, if all settings have an effect on it.

    Args:
        model: the model, unless a command line names it.
        gpu: name and number of the GPUs.
        given: settings.
        command: command line of an engine, or None.
        others: settings without an effect on times.
    """
    values, notes = {name: value for name, value in given.items() if value is not None}, tuple[str, ...]()
    started = _started(model, command, gpu)
    if command is None and is_modelfile(model):
        command, notes = modelfile_command(model, values.pop("engine", None), {}, _gpus(gpu))
        model = None
    if command is not None:
        inside = ["model"] * (model is not None) + [name for name in values if name not in BESIDE_COMMAND]
        if inside:
            raise InputError(
                "cannot be combined with a command line", parameter=inside[0], hint="set it in the command"
            )
        model, read, assumed = _read(command, _gpus(gpu))
        values, notes = values | read, (*notes, *assumed)
    if started and (placed := {name: size for name, size in started.automatic.items() if name in PLACED}):
        values, notes = (
            values | placed,
            (*notes, f"{started.engine_title} starts{started.placement}, which it chooses by itself"),
        )
    unused = [name for name, value in others.items() if value is not None]
    unused += [name for name in values if name not in SETTINGS]
    if unused:
        if command is not None and unused[0] not in others:
            raise _unmodelled(unused[0], str(values["engine"]))
        asking = ", ".join(f"{{{name}}}" for name in REQUESTS if name in values)
        hint = f"omit it, or {asking}, for the memory alone"
        raise InputError("is not modelled together with the time of requests", parameter=unused[0], hint=hint)
    if model is not None and isinstance(gpu, str) and "isl" in values:
        model = read_model(model)
        if model.main.role == "encoder":
            return _encoder(model, gpu, values)
    missing = [name for name in ("isl", "osl") if name not in values and not {"mix", "trace"} & {*values}]
    if missing:
        both = " ".join(f"{{{name}={size}}}" for name, size in (("isl", 1000), ("osl", 500)) if name in missing)
        raise InputError("missing number of tokens", parameter=missing[0], hint=f"add {both}")
    if model is None or gpu is None:
        name = "model" if model is None else "gpu"
        raise InputError(f"missing {name}", parameter=name, hint="add a model and a GPU such as {gpu=h100:4}")
    if not isinstance(gpu, str):
        raise InputError("needs the name of a GPU", parameter="gpu", hint="use a name such as {gpu=h100:4}")
    found = serving(model, gpu, **values, is_command=command is not None)
    return changed(found, notes=(*notes, *found.notes)) if notes else found


def _encoder(architecture: Architecture, gpu: str, values: Mapping[str, Any]) -> EncoderServing:
    """Return the throughput of an encoder, if all settings have an effect on it."""
    for name in values:
        if name not in PARAMETERS:
            text = f"has no effect on {architecture.name}, an encoder, which generates no tokens"
            raise InputError(text, parameter=name, hint="omit it")
    return encoder_serving(architecture, gpu, **values)


def _started(model: Source | None, command: str | Sequence[str] | None, gpu: str | int | None) -> ServeResult | None:
    """Return how llama.cpp starts a command line or a Modelfile. It may move part of the model to host memory."""
    if not isinstance(gpu, str):
        return None
    if command is not None:
        moves = tables("engines")[read_command(command).engine]["rule"] == "sum"
        return serve(command=command, gpu=gpu) if moves else None
    return serve(model, gpu) if is_modelfile(model) else None


def _gpus(gpu: str | int | None) -> Gpus:
    return read_gpus(gpu) if isinstance(gpu, str) else Gpus(None, gpu, None)


def _unmodelled(name: str, engine: str) -> InputError:
    """Return the error for a flag of a command line that times do not consider."""
    flag = setting_flags(tables("engines")[engine]["flags"]).get(name, name)
    hint = f"omit {flag}, or omit the lengths of requests for the memory alone"
    return InputError(f"{flag} is not modelled together with the time of requests", parameter="command", hint=hint)


def _read(command: str | Sequence[str], gpus: Gpus) -> tuple[Source, dict[str, Any], list[str]]:
    """Return the model of a command line, its settings, and notes."""
    pasted, remarks = read_command(command), tuple[str, ...]()
    if pasted.program == RUN:
        words, remarks = run_command(pasted, gpus)
        pasted = read_command(words)._replace(unmodelled=pasted.unmodelled)
    entry = tables("engines")[pasted.engine]
    settings = read_engine_settings(pasted.settings, entry, is_text=True)
    if entry["rule"] == "sum" and settings.pop("pp", 1) > 1:
        hint = "use tensor-parallel ranks"
        raise InputError("pipeline stages are not modelled for times", parameter="pp", hint=hint)
    splits_layers = entry["rule"] == "sum"
    tp, dp = (settings.pop(name, None if splits_layers else 1) for name in ("tp", "dp"))
    if settings.pop("attention_dp", False):  # these ranks are a part of the tensor-parallel ranks
        tp = max(tp // dp, 1)
    if settings.pop("expert_parallel", False):
        settings["ep"] = tp * dp
    architecture, _, weights, assumed = load_served(pasted.model, is_repository=True)
    notes = [*remarks, *(note for note in assumed if note not in architecture.notes)]
    if pasted.unmodelled:
        notes.append(f"not modelled: {', '.join(pasted.unmodelled)}")
    layout = {name: size for name, size in (("tp", tp), ("dp", dp)) if size}
    return architecture, {"engine": pasted.engine, **stored_format(weights, settings), **layout}, notes
