"""The ``llmcalc serve`` command for predicting the memory of a serving engine and the size of its KV cache."""

from __future__ import annotations

from math import prod
from typing import Any

from ...core.errors import InputError, UnknownNameError
from ...core.record import changed
from ...inputs.serving_settings import SERVE
from ..memory_options import settings
from ..options import CHART_OUTPUT, NOTES, READING, is_given, load_model
from ..output import Answer, printed
from ..spec import Argument, Command, option_of

MODEL = Argument(
    "model", "Name, preset, config.json, checkpoint, Modelfile or hf:org/name.",
    least=0, complete="models",
)  # fmt: skip
GPU, *OTHERS = (option_of(setting) for setting in SERVE if setting.help)
SETTINGS = (changed(GPU, joined=True), *OTHERS)


@printed
def run(
    model: str | None,
    gpu: str | None,
    gpu_memory: str | None,
    engine: str | None,
    engine_version: str | None,
    command: str | None,
    image: list[str] | None,
    **given: Any,
) -> Answer:
    """Print what the engine allocates on each GPU, or the time of requests. The exit code is 1 if it will not start."""
    from ...api.serve import serve
    from ...report.serve import refused_document, serve_document
    from ...serving.start.layout_error import LayoutError
    from ...serving.start.start import Start

    typed = {**given, "model": model, "engine": engine, "engine_version": engine_version,
             "command": command}  # fmt: skip
    if command is not None and gpu is None and gpu_memory is None:
        hint = f"add the GPUs first: llmcalc serve --gpu h100:{_ranks(command)} -- {command}"
        raise InputError("missing GPU", parameter="gpu", hint=hint)
    source: Any = model
    if model is not None and any(is_given(option, given) for option in READING):
        source = load_model(model, given)
    asked = settings(given, SETTINGS)
    try:
        result: Any = serve(
            source, gpu, command=command, engine=engine, engine_version=engine_version, gpu_memory=gpu_memory,
            image=image or (), **asked,
        )  # fmt: skip
    except LayoutError as error:
        return refused_document(error), False
    except UnknownNameError as error:
        flag = str(error.name).partition("=")[0]
        if error.parameter != "command" or flag not in {option.flag for option in OPTIONS}:
            raise
        hint = f"{flag} is an option of llmcalc: put it before --"
        raise InputError(error.message, parameter="command", hint=hint) from None
    if isinstance(result, Start):
        return serve_document(result), result.starts
    from ...search.front import ServingFront
    from ...search.pools import ServingPools
    from ...search.serving_gpus import ServingGpus
    from ...search.serving_search import ServingSearch
    from ...serving.encoders import EncoderServing
    from ...serving.result import ServingResult

    if isinstance(result, EncoderServing):
        from ...report.encoder_serving import encoder_document

        return encoder_document(result), result.fits
    if isinstance(result, ServingFront):
        from ...report.serving_front import front_document

        return front_document(result), bool(result.points)
    if isinstance(result, ServingGpus):
        from ...report.serving_gpus import serving_gpus_document

        return serving_gpus_document(result, lambda change: COMMANDS[0].line({**typed, **change})), bool(result.best)
    if isinstance(result, ServingPools):
        from ...report.serving_pools import pools_document

        return pools_document(result), result.layout is not None
    if isinstance(result, ServingSearch):
        from ...report.serving_search import search_document

        return search_document(result), result.is_found
    assert isinstance(result, ServingResult)
    from ...report.serving import serving_document

    return serving_document(result), result.all_run


def _ranks(command: str) -> int:
    """Return the number of GPUs that a command line of an engine names."""
    from ...importers.engine_commands import read_command

    sizes = (read_command(command).settings.get(name, "1") for name in ("tp", "pp"))
    return prod(int(size) for size in sizes if size.isdigit())


OPTIONS = (*SETTINGS, *READING, *CHART_OUTPUT, NOTES)
COMMANDS = (Command("serve", (MODEL, *OPTIONS), run),)
