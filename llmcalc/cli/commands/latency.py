"""The ``llmcalc latency`` command for the time of a batch on GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from ...inputs.serving_settings import LATENCY
from ..memory_options import settings
from ..options import ALL, LOADING, MODEL, NOTES, load_model, output
from ..output import Answer, printed
from ..spec import Command, option_of

if TYPE_CHECKING:
    from ...serving.latency_times import Latency

SETTINGS = tuple(map(option_of, LATENCY))
OUTPUT = (*output("svg", "tree"), NOTES, ALL)


@printed
def run(model: str, **given: Any) -> Answer:
    """Print the latency. The exit code is 1 if the model does not fit."""
    from ...api.latency import latency
    from ...report.latency import latency_document
    from ...search.latency_changes import latency_changes

    if given["gpu"] is None:
        raise InputError("missing GPU", parameter="gpu", hint="use a name such as {gpu=h100:4}")
    architecture = load_model(model, given)
    asked = settings(given, SETTINGS)
    result = latency(architecture, **asked)

    def ask(change: dict[str, Any]) -> Latency:
        return latency(architecture, **{**asked, **change})

    return latency_document(result, lambda: latency_changes(result, asked, ask)), result.fits


COMMANDS = (Command("latency", (MODEL, *SETTINGS, *LOADING, *OUTPUT), run),)
