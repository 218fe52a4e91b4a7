"""The ``llmcalc train`` command for estimating the compute, time, cost and energy of a training run."""

from __future__ import annotations

from typing import Any

from ..memory_options import DTYPE, MACHINE, MESH, OPTIMIZER, RECOMPUTE, machine, price, training_mesh
from ..options import COUNT, EXTEND, MODEL, MODEL_OUTPUT, READING, SEQ, TARGET_SEQ, TOKENS, load_model, values
from ..output import Answer, printed
from ..spec import Command, Option

BATCH_TOKENS = Option("--batch-tokens", "Tokens per optimizer step, such as 4M.", "AMOUNT")
ENERGY = (
    Option("--watts", "Measured power per GPU in W (default: the rated power).", "W"),
    Option("--pue", "Power usage effectiveness of the data centre, such as 1.1.", "RATIO"),
    Option("--carbon", "Carbon intensity in kg CO2e per kWh, such as 0.385.", "KG"),
)
MICRO_BATCH = Option(
    "--micro-batch-size",
    "Sequences per micro-batch on each rank (for the memory estimate).",
    name="micro_batch",
    kind=int,
    default=1,
)
RUN = (TOKENS, SEQ, TARGET_SEQ, EXTEND, COUNT, BATCH_TOKENS)


@printed
def run(model: str, **given: Any) -> Answer:
    """Print a summary of the training run. The exit code is 1 if a mesh is given and a step does not fit in memory."""
    from ...api.train import train
    from ...estimate.amounts import amount
    from ...report.train import train_document

    energy: dict[str, Any] = {
        name: amount(text, name, "1.1") for name, text in values(ENERGY, given).items() if text is not None
    }
    architecture = load_model(model, given)
    result = train(
        architecture, **values((*RUN, MICRO_BATCH, DTYPE), given), **energy, machine=machine(given),
        mesh=training_mesh(given, architecture), price=price(given), optimizer=given["optimizer"] or "adamw",
        recompute=given["recompute"] or "none",
    )  # fmt: skip
    return train_document(result, given["tokens"] is not None), result.fit is None or result.fit.fits


COMMANDS = (
    Command(
        "train",
        (MODEL, *RUN, *MACHINE, *ENERGY, MICRO_BATCH, DTYPE, OPTIMIZER, RECOMPUTE, *MESH, *READING, *MODEL_OUTPUT),
        run,
    ),
)
