"""``llmcalc scale``: what scaling laws say of a budget, a size, data, a loss or a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from ..machine_options import ADD_GPU, MACHINE, machine, price
from ..options import OUTPUT, READING, reading
from ..spec import Argument, Command, Option

if TYPE_CHECKING:
    from ...estimate.training_run import Budget

MODEL = Argument(
    "model", "A model whose plan is judged: a preset's name, a preset or config file.", least=0, complete="models"
)
COMPUTE = Option("--compute", "compute", "Training compute, such as 1e24 (FLOPs) or 3640PF-days.", metavar="AMOUNT")
DAYS = Option("--days", "days", "Budget: days on all the accelerators of --gpu.", metavar="N")
HOURS = Option("--gpu-hours", "hours", "Budget: accelerator-hours of --gpu, such as 1M.", metavar="AMOUNT")
DOLLARS = Option("--dollars", "dollars", "Budget: US dollars, at --price an accelerator-hour.", metavar="AMOUNT")
PARAMETERS = Option("--params", "parameters", "Parameters, such as 70B.", metavar="AMOUNT")
TOKENS = Option("--tokens", "tokens", "Training tokens, such as 15T.", metavar="AMOUNT")
LOSS = Option("--loss", "loss", "The loss to reach, in nats a token.", metavar="LOSS")
UNIQUE = Option("--unique", "unique", "Tokens that differ: beyond them data is repeated.", metavar="AMOUNT")
INFERENCE = Option(
    "--inference", "inference", "Tokens that the model will process when it serves, such as 10T.", metavar="AMOUNT"
)
INFERENCE_COST = Option(
    "--inference-cost", "inference_cost", "What a FLOP of serving costs, in those of training (default: 1).",
    metavar="RATIO",
)  # fmt: skip
EXPERTS = Option(
    "--experts", "experts", "Experts for each that a token uses (default: the model's; none: dense).", metavar="N"
)
GRANULARITY = Option(
    "--granularity", "granularity", "How much narrower an expert is than a dense layer (default: 1).", metavar="N"
)
LAW = Option(
    "--law", "laws", "A scaling law, or all (default: the usual ones). May be repeated.", repeatable=True,
    metavar="NAME", complete="laws",
)  # fmt: skip
SHAPE = Option(
    "--shape", "shapes", "A model that shows what the size may look like (default: Llama 3's). May be repeated.",
    repeatable=True, metavar="MODEL", complete="models",
)  # fmt: skip
SEQ = Option("--seq", "seq", "Tokens of a sequence (default: 4096).", kind=int, default=4096, metavar="N")
AMOUNTS = {
    PARAMETERS: "70B", TOKENS: "15T", UNIQUE: "1T", INFERENCE: "10T", INFERENCE_COST: "1.5", EXPERTS: "8",
    GRANULARITY: "4", LOSS: "1.9",
}  # fmt: skip
BUDGETS = (COMPUTE, DAYS, HOURS, DOLLARS)
RESERVE = 2**30


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
    from ...api import scale as scaling
    from ...api.load import load
    from ...api.reference_models import shapes as near
    from ...estimate.amounts import read_amount
    from ...report.scale import scale_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    asked = [option for option in AMOUNTS if given[option.name] is not None]
    words = {option.name: read_amount(given[option.name], option.name, AMOUNTS[option]) for option in asked}
    for option in READING:
        if model is None and given[option.name]:
            raise InputError("concerns a model, and there is none", parameter=option.name, hint="name the model first")
    if model is not None and "parameters" in words:
        raise InputError(
            "a model has its own parameters", parameter="parameters", hint="leave the model or --params out"
        )
    if seq < 1:
        raise InputError(f"seq is {seq}", parameter="seq", hint="give a positive number")
    compute, spent = spend(given)
    architecture = load(model, **reading(given)) if model is not None else None
    found = scaling.scale(architecture, compute=compute, laws=laws, seq=seq, **words)
    working = spent.machine if spent else None
    listed = []
    if shapes or (working is not None and found.query.free):
        listed = near(found.middle("parameters"), found.middle("compute"), seq, working, RESERVE, shapes)
    write(scale_document(found, spent, listed, seq), chosen)
    return 0


def spend(given: dict[str, Any]) -> tuple[float | None, Budget | None]:
    """The training FLOPs that were asked for, and the budget that they were made of.

    Raises:
        InputError: two budgets, or one without what it needs.
    """
    from ...api.train import budget
    from ...estimate.amounts import read_amount, read_compute

    asked = [option for option in BUDGETS if given[option.name] is not None]
    if len(asked) > 1:
        raise InputError(f"{asked[0].flag} and {asked[1].flag} are two budgets", hint="give one of them")
    working, dollars = machine(given), price(given)
    if working is None and asked and asked[0] is not COMPUTE:
        raise InputError("is a budget on accelerators", parameter=asked[0].name, hint=ADD_GPU)
    amounts = {
        option.name: read_compute(given[option.name]) if option is COMPUTE
        else read_amount(given[option.name], option.name, "30")
        for option in asked
    }  # fmt: skip
    if working is None:
        return amounts.get("compute"), None
    found = budget(working, price=dollars, **amounts)
    return found.flops.mid, found


COMMAND = Command(
    "scale",
    "Ask scaling laws: the best size and data for a budget, the loss of a plan.",
    (
        MODEL, *BUDGETS, *MACHINE, PARAMETERS, TOKENS, LOSS, UNIQUE, INFERENCE, INFERENCE_COST, EXPERTS, GRANULARITY,
        LAW, SHAPE, SEQ, *READING, *OUTPUT,
    ),
    run,
    "llmcalc scale --gpu h100:512 --days 30",
)  # fmt: skip
