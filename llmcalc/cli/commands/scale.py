"""``llmcalc scale``: what scaling laws say about a budget, a size, data, a loss or a model."""

from __future__ import annotations

from typing import Any

from ..memory_options import MACHINE, machine, price
from ..options import OUTPUT, READING, reading
from ..spec import Argument, Command, Option

MODEL = Argument("model", "Model whose plan to judge: preset name, preset file or config.", least=0, complete="models")
LAW = Option(
    "--law", "laws", "Scaling law, or all (default: the usual ones). Repeatable.", repeatable=True, metavar="NAME",
    complete="laws",
)  # fmt: skip
SHAPE = Option(
    "--shape", "shapes", "Reference model for the size (default: Llama 3). Repeatable.", repeatable=True,
    metavar="MODEL", complete="models",
)  # fmt: skip
SEQ = Option("--seq", "seq", "Sequence length in tokens.", kind=int, default=4096, metavar="N")
BUDGETS = (
    Option("--compute", "compute", "Training compute, such as 1e24 (FLOPs) or 3640PF-days.", metavar="AMOUNT"),
    Option("--days", "days", "Budget: days on all GPUs of --gpu.", metavar="N"),
    Option("--gpu-hours", "hours", "Budget: GPU-hours of --gpu, such as 1M.", metavar="AMOUNT"),
    Option("--dollars", "dollars", "Budget: US dollars, spent at --price per GPU-hour.", metavar="AMOUNT"),
)
# each with an example for its error message
AMOUNTS = {
    Option("--params", "parameters", "Parameters, such as 70B.", metavar="AMOUNT"): "70B",
    Option("--tokens", "tokens", "Training tokens, such as 15T.", metavar="AMOUNT"): "15T",
    Option("--loss", "loss", "Loss to reach, in nats per token.", metavar="LOSS"): "1.9",
    Option("--unique", "unique", "Unique tokens; beyond them data is repeated.", metavar="AMOUNT"): "1T",
    Option("--inference", "inference", "Tokens to process in serving, such as 10T.", metavar="AMOUNT"): "10T",
    Option(
        "--inference-cost", "inference_cost", "Cost of a FLOP in serving, relative to training (default: 1).",
        metavar="RATIO",
    ): "1.5",
    Option(
        "--experts", "experts", "Total experts per active expert (default: the model's; none: dense).", metavar="N"
    ): "8",
    Option(
        "--granularity", "granularity", "Width of a dense layer over that of an expert (default: 1).", metavar="N"
    ): "4",
}  # fmt: skip


def run(
    model: str | None,
    laws: list[str],
    shapes: list[str],
    seq: int,
    form: str | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Ask the laws, and print."""
    from ...api.load import load
    from ...api.reference_models import reference_shapes
    from ...api.scale import scale
    from ...core.errors import InputError
    from ...estimate.amounts import read_amount
    from ...report.scale import scale_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    amounts = [option for option in AMOUNTS if given[option.name] is not None]
    words = {option.name: read_amount(given[option.name], option.name, AMOUNTS[option]) for option in amounts}
    for option in READING:
        if model is None and given[option.name]:
            raise InputError("requires a model", parameter=option.name, hint="name the model first")
    found = scale(
        load(model, **reading(given)) if model is not None else None, laws=laws, seq=seq, machine=machine(given),
        price=price(given), **{option.name: given[option.name] for option in BUDGETS}, **words,
    )  # fmt: skip
    write(scale_document(found, reference_shapes(found, seq, shapes), seq), chosen)
    return 0


COMMANDS = (
    Command(
        "scale",
        (MODEL, *BUDGETS, *MACHINE, *AMOUNTS, LAW, SHAPE, SEQ, *READING, *OUTPUT),
        run,
        "llmcalc scale --gpu h100:512 --days 30",
    ),
)
