"""The ``llmcalc scale`` command for applying scaling laws to a budget, size, token count, loss or model."""

from __future__ import annotations

from typing import Any

from ...core.errors import InputError
from ...inputs.training_settings import BUDGETS, LAW_LENGTH, LAWS, PARAMETERS, SCALE
from ..memory_options import MACHINE, PRICE, machine, settings
from ..options import ALL, CHART_OUTPUT, NOTES, READING, load_model, refuse
from ..output import Answer, printed
from ..spec import Argument, Command, Option, option_of

MODEL = Argument("model", "Model to evaluate: preset name, preset file or config.", least=0, complete="models")
LAW, SEQ = option_of(LAWS), option_of(LAW_LENGTH)
SHAPE = Option(
    "--shape", "Family of reference models (default: Llama 3). Repeatable.", "MODEL", "shapes", repeatable=True,
    complete="models",
)  # fmt: skip
BUDGET = tuple(map(option_of, BUDGETS))
AMOUNTS = tuple(map(option_of, (PARAMETERS, *SCALE)))


@printed
def run(model: str | None, laws: list[str], shapes: list[str], seq: int, **given: Any) -> Answer:
    """Print the predictions of the scaling laws."""
    from ...api.scale import scale
    from ...report.scale import scale_document
    from ...search.reference_models import reference_shapes

    asked = settings(given, (*BUDGET, *AMOUNTS, PRICE))
    if model is None:
        refuse(READING, given, "without a model", "add a model")
    architecture = load_model(model, given) if model is not None else None
    asked |= {"seq": seq} if architecture else {}  # without a model, only published models have a length
    plan = scale(architecture, laws=laws, gpu=machine(given), **asked)
    found = reference_shapes(plan, seq, shapes)
    if not (architecture or found) and seq != SEQ.default:
        raise InputError("has no effect without a model", parameter="seq", hint="add a model or {gpu=h100:512}")
    return scale_document(plan, found, seq)


OPTIONS = (*BUDGET, *MACHINE, *AMOUNTS, LAW, SHAPE, SEQ, *READING, *CHART_OUTPUT, NOTES, ALL)
COMMANDS = (Command("scale", (MODEL, *OPTIONS), run),)
