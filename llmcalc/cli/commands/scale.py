"""The ``llmcalc scale`` command for applying scaling laws to a budget, size, token count, loss or model."""

from __future__ import annotations

from typing import Any

from ...core.errors import InputError
from ..memory_options import MACHINE, machine, price
from ..options import CHART_OUTPUT, READING, load_model, refuse, values
from ..output import Answer, printed
from ..spec import Argument, Command, Option

MODEL = Argument("model", "Model to evaluate: preset name, preset file or config.", least=0, complete="models")
LAW = Option(
    "--law", "Scaling law, or all (default: a standard selection). Repeatable.", "NAME", "laws", repeatable=True,
    complete="laws",
)  # fmt: skip
SHAPE = Option(
    "--shape", "Family of reference models (default: Llama 3). Repeatable.", "MODEL", "shapes", repeatable=True,
    complete="models",
)  # fmt: skip
SEQ = Option("--seq", "Sequence length in tokens.", kind=int, default=4096)
BUDGETS = (
    Option("--compute", "Training compute, such as 1e24 (FLOPs) or 3640PF-days.", "AMOUNT"),
    Option("--days", "Budget in days of training on the GPUs set by --gpu.", "N"),
    Option("--gpu-hours", "Budget in GPU-hours on the GPUs set by --gpu, such as 1M.", "AMOUNT", "hours"),
    Option("--dollars", "Budget in US dollars, at --price per GPU-hour.", "AMOUNT"),
)
# options and an example of each for its error message
AMOUNTS = {
    Option("--params", "Number of parameters, such as 70B.", "AMOUNT", "parameters"): "70B",
    Option("--tokens", "Number of training tokens, such as 15T.", "AMOUNT"): "15T",
    Option("--loss", "Target loss in nats per token.", "LOSS"): "1.9",
    Option("--unique", "Number of unique training tokens; training on more tokens repeats the data.", "AMOUNT"): "1T",
    Option("--inference", "Number of tokens processed during serving, such as 10T.", "AMOUNT"): "10T",
    Option("--inference-cost", "Cost of a serving FLOP relative to a training FLOP (default: 1).", "RATIO"): "1.5",
    Option(
        "--n-experts",
        "Ratio of total to active experts (default: the model's ratio, or dense if no model is given).",
        "N",
    ): "8",
    Option("--granularity", "Ratio of dense layer width to expert width (default: 1).", "N"): "4",
}


@printed
def run(model: str | None, laws: list[str], shapes: list[str], seq: int, **given: Any) -> Answer:
    """Print the predictions of the scaling laws."""
    from ...api.scale import scale
    from ...estimate.amounts import amount
    from ...report.scale import scale_document
    from ...search.reference_models import reference_shapes

    texts = {option.name: (given[option.name], example) for option, example in AMOUNTS.items()}
    amounts: dict[str, Any] = {
        name: amount(text, name, example) for name, (text, example) in texts.items() if text is not None
    }
    if model is None:
        refuse(READING, given, "without a model", "add a model")
    architecture = load_model(model, given) if model is not None else None
    amounts |= {"seq": seq} if architecture else {}  # without a model, only published models have a length
    plan = scale(architecture, laws=laws, gpu=machine(given), price=price(given), **values(BUDGETS, given), **amounts)
    found = reference_shapes(plan, seq, shapes)
    if not (architecture or found) and seq != SEQ.default:
        hint = "add a model or {gpu=h100:512}"
        raise InputError("has no effect without a model", parameter="seq", hint=hint)
    return scale_document(plan, found, seq)


COMMANDS = (
    Command(
        "scale",
        (MODEL, *BUDGETS, *MACHINE, *AMOUNTS, LAW, SHAPE, SEQ, *READING, *CHART_OUTPUT),
        run,
    ),
)
