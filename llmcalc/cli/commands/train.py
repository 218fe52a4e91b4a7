"""``llmcalc train MODEL --tokens N``: compute, time, cost, energy and files of a training run."""

from __future__ import annotations

from typing import Any

from ..memory_options import DTYPE, MACHINE, MESH, OPTIMIZER, RECOMPUTE, machine, mesh, price
from ..options import EXTEND, MODEL, OUTPUT, PAIRS_ALONE, READING, SEQ, TARGET_SEQ, reading
from ..spec import Command, Option

TOKENS = Option("--tokens", "tokens", "Training tokens, such as 15T (default: as published).", metavar="AMOUNT")
BATCH_TOKENS = Option("--batch-tokens", "batch_tokens", "Tokens per optimizer step, such as 4M.", metavar="AMOUNT")
ENERGY = (
    Option("--watts", "watts", "Measured power per GPU, in W (default: the rated power).", metavar="W"),
    Option("--pue", "pue", "Power usage effectiveness of the data centre, such as 1.1.", metavar="RATIO"),
    Option("--carbon", "carbon", "kg CO2e per kWh, such as 0.385.", metavar="KG"),
)
MICRO_BATCH = Option(
    "--micro-batch", "micro_batch", "Sequences per micro-batch and rank, for the memory.", kind=int, default=1,
    metavar="N",
)  # fmt: skip
PLAIN = (TOKENS, SEQ, TARGET_SEQ, EXTEND, PAIRS_ALONE, BATCH_TOKENS, MICRO_BATCH, DTYPE)


def run(model: str, form: str | None, as_json: bool, **given: Any) -> int:
    """Exit code 1 if a mesh is given and a step does not fit."""
    from ...api.load import load
    from ...api.train import train
    from ...estimate.amounts import read_amount
    from ...report.train import train_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    stated = [option for option in ENERGY if given[option.name] is not None]
    settings = {option.name: given[option.name] for option in PLAIN}
    settings |= {option.name: read_amount(given[option.name], option.name, "1.1") for option in stated}
    found = train(
        load(model, **reading(given)), **settings, machine=machine(given), mesh=mesh(given), price=price(given),
        optimizer=given["optimizer"] or "adamw", recompute=given["recompute"] or "none",
    )  # fmt: skip
    write(train_document(found, stated=given["tokens"] is not None), chosen)
    return 1 if found.fit is not None and not found.fit.fits else 0


COMMANDS = (
    Command(
        "train",
        (
            MODEL, TOKENS, SEQ, TARGET_SEQ, EXTEND, PAIRS_ALONE, BATCH_TOKENS, *MACHINE, *ENERGY, MICRO_BATCH, DTYPE,
            OPTIMIZER, RECOMPUTE, *MESH, *READING, *OUTPUT,
        ),
        run,
        "llmcalc train llama3-70b --tokens 15T --gpu h100:512",
    ),
)  # fmt: skip
