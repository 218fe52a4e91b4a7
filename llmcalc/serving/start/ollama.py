"""Modelfiles and command lines of Ollama, as command lines of the llama-server that it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ...core.errors import DescriptionError, InputError
from ...core.setting import SCALES, read_integer
from ...core.type_names import TYPE_CHECKING, Any
from ...data import tables
from ...engines.lengths import known_length
from ...engines.settings import setting_flags
from ...importers.modelfile import Modelfile, library_model, read_modelfile, usual_context
from ...inputs.gguf_names import GGUF_ENGINE, published_format
from .models import load_served

if TYPE_CHECKING:
    from ...importers.engine_commands import EngineCommand
    from ...inputs.gpus import Gpus

Command = tuple[list[str], tuple[str, ...]]  # words, and notes about what was read


def modelfile_command(path: Any, engine: str | None, settings: Mapping[str, Any], gpus: Gpus) -> Command:
    """Return the command line that has the effect of a Modelfile with further settings of llama.cpp."""
    if engine not in (None, "llama.cpp"):
        raise InputError(f"{os.fspath(path)} is a Modelfile, which llama.cpp runs", parameter="engine", hint="omit it")
    found = read_modelfile(path)
    stated = " · ".join(f"{name} {value}" for name, value in {"FROM": found.model, **found.parameters}.items())
    words, notes = _command(found, settings, gpus)
    return words, (f"Modelfile: {stated}", *notes)


def run_command(command: EngineCommand, gpus: Gpus) -> Command:
    """Return the command line that has the effect of ``ollama run``, whose context size is that of each request."""
    found, settings = library_model(command.model), dict(command.settings)
    if (length := settings.pop("max_model_len", "0")) != "0":
        found = found._replace(parameters={"num_ctx": length})
    return _command(found, settings, gpus, read_integer(settings.get("max_num_seqs", "1")) or 1)


def _command(found: Modelfile, settings: Mapping[str, Any], gpus: Gpus, requests: int = 1) -> Command:
    read = list[str]()
    try:
        architecture, *_ = load_served(found.file, is_repository=True)
    except DescriptionError as error:
        message = error.message.replace(found.file, found.model)
        raise DescriptionError(message, parameter=error.parameter, hint=error.hint) from error
    found = found.with_format(published_format(architecture, GGUF_ENGINE))
    if architecture.name != found.model.replace(":", "-"):
        read = [f"{found.model} is read as {architecture.name}"]
    length = known_length(architecture, GGUF_ENGINE)
    context = usual_context(gpus.usable_bytes * (gpus.count or 1), length)
    words = found.words(context, length, requests)
    if settings.get("cache"):
        settings = {**settings, "cache_v": settings["cache"]}  # a variable sets both
    flags = setting_flags(tables("engines")[GGUF_ENGINE]["flags"])
    for name, value in settings.items():
        if value is not None and name not in flags:
            raise InputError("cannot be combined with a Modelfile", parameter=name, hint="set it in the Modelfile")
        text = read_integer(value, SCALES) or value if isinstance(value, str) else value
        if value not in (None, False):
            words += [flags[name]] if value is True else [flags[name], str(text)]
    usual = ({} if "num_ctx" in found.parameters else {"num_ctx": context}) | found.defaults
    added = " · ".join(f"{name} {value}" for name, value in usual.items())
    return words, (*read, *([f"defaults of Ollama: {added}"] if added else []))
