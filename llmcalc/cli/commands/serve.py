"""The ``llmcalc serve`` command for predicting the memory of a serving engine and the size of its KV cache."""

from __future__ import annotations

from math import prod

from ...core.errors import InputError, UnknownNameError
from ...core.record import changed
from ...core.type_names import Any
from ...inputs.serving_settings import SERVE
from ..memory_options import settings
from ..options import ALL, CHART_OUTPUT, LOADING, NOTES, is_given, load_model
from ..output import Answer, answered, printed
from ..spec import Argument, Command, option_of

MODEL = Argument(
    "model", "Name, preset, config.json, checkpoint, Modelfile or hf:org/name.", least=0, complete="models"
)
GPU, *OTHERS = (option_of(setting) for setting in SERVE if setting.help)
SETTINGS = (changed(GPU, joined=True), *OTHERS)


@printed
def run(model: str | None, **given: Any) -> Answer:
    """Print what the engine allocates on each GPU, or the time of requests. The exit code is 1 if it will not start."""
    from ...api.serve import serve
    from ...serving.start.layout_error import LayoutError

    command = given["command"]
    if command is not None and given["gpu"] is None and given["gpu_memory"] is None:
        hint = f"add the GPUs first: llmcalc serve --gpu h100:{_ranks(command)} -- {command}"
        raise InputError("missing GPU", parameter="gpu", hint=hint)
    source: Any = model
    if model is not None and any(is_given(option, given) for option in LOADING):
        source = load_model(model, given)
    try:
        result: Any = serve(source, **settings(given, SETTINGS))
    except LayoutError as error:
        from ...report.serve import refused_document

        return refused_document(error), False
    except UnknownNameError as error:
        flag = str(error.name).partition("=")[0]
        if error.parameter != "command" or flag not in {option.flag for option in OPTIONS}:
            raise
        hint = f"{flag} is an option of llmcalc: put it before --"
        raise InputError(error.message, parameter="command", hint=hint) from None
    return answered(result, spell=lambda change: COMMANDS[0].line({**given, "model": model, **change}))


def _ranks(command: str) -> int:
    """Return the number of GPUs that a command line of an engine names."""
    from ...importers.engine_commands import read_command

    sizes = (read_command(command).settings.get(name, "1") for name in ("tp", "pp"))
    return prod(int(size) for size in sizes if size.isdigit())


OPTIONS = (*SETTINGS, *LOADING, *CHART_OUTPUT, NOTES, ALL)
COMMANDS = (Command("serve", (MODEL, *OPTIONS), run),)
