"""The ``llmcalc plan`` command for the best layout of a training step."""

from __future__ import annotations

from typing import Any

from ...core.errors import InputError
from ...inputs.training_settings import PLAN, PLAN_GPU
from ..memory_options import settings
from ..options import ALL, MODEL, NOTES, OUTPUT, READING, load_model
from ..output import Answer, printed
from ..spec import Command, option_of

GPU, *OTHERS = map(option_of, (PLAN_GPU, *PLAN))


@printed
def run(model: str, gpu: str | None, **given: Any) -> Answer:
    """Print the best layouts. The exit code is 1 if none fits."""
    from ...api.plan import plan
    from ...report.plan import plan_document
    from . import load

    if gpu is None:
        raise InputError("missing GPU", parameter="gpu", hint="use a name such as {gpu=h100:512}")
    result = plan(load_model(model, given), gpu, **settings(given, OTHERS))
    names = ("stack", "precision", *(option.name for option in READING))
    asked = {"model": model, "gpu": gpu, **{name: given[name] for name in names}}
    return plan_document(result, lambda layout: load("train").line({**asked, **layout})), result.fits


COMMANDS = (Command("plan", (MODEL, GPU, *OTHERS, *READING, *OUTPUT, NOTES, ALL), run),)
