"""The ``llmcalc train`` command for estimating the compute, time, cost and energy of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..memory_options import DTYPE, MACHINE, MESH, OPTIMIZER, RECOMPUTE, machine, price, training_mesh
from ..options import COUNT, EXTEND, MODEL_OUTPUT, READING, SEQ, TARGET_SEQ, TOKENS, values
from ..output import Answer, printed
from ..spec import Command, Option
from ..training_options import TRAINED_MODEL, TRAINING_FILE, load_trained

if TYPE_CHECKING:
    from ...api.training_files import TrainingFile
    from ...core.architecture import Architecture

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
    gpus = machine(given)
    architecture, given, file = load_trained(model, given, gpus.count if gpus else None)
    if file:
        architecture, given = _with_run(file, given, has_gpus=gpus is not None)
    result = train(
        architecture, **values((*RUN, MICRO_BATCH, DTYPE), given), **energy, machine=gpus,
        mesh=training_mesh(given, architecture), price=price(given), optimizer=given["optimizer"] or "adamw",
        recompute=given["recompute"] or "none",
    )  # fmt: skip
    return train_document(result, given["tokens"] is not None), result.fit is None or result.fit.fits


def _with_run(file: TrainingFile, given: dict[str, Any], has_gpus: bool) -> tuple[Architecture, dict[str, Any]]:
    """Return the model with a warning about unused settings, and the options with the run that a file describes.

    The settings of a step only matter for its memory, which is computed for a mesh of GPUs.
    """
    from ...api.defaults import default_seq
    from ...core.record import changed

    used = {option.name for option in (SEQ, DTYPE, OPTIMIZER)} | {"batch", "training"}
    if has_gpus and given["dp"]:
        used |= {option.name for option in (RECOMPUTE, *MESH)}
        given = {**given, "micro_batch": file.options.get("batch", 1)}
    else:
        given = {**given, "micro_batch": 1, **{option.name: option.default for option in (RECOMPUTE, *MESH)}}
    step = file.step_sequences * (given["seq"] or default_seq(file.architecture))
    given["batch_tokens"] = given["batch_tokens"] or step
    given["tokens"] = given["tokens"] or (step * file.steps if file.steps else None)
    unused = [name.replace("_", " ") for name in file.options if name not in used]
    warnings = [f"train does not use these settings of {file.path}: {', '.join(unused)}"] if unused else []
    return changed(file.architecture, warnings=(*file.architecture.warnings, *warnings)), given


COMMANDS = (
    Command(
        "train",
        (
            TRAINED_MODEL,
            TRAINING_FILE,
            *RUN,
            *MACHINE,
            *ENERGY,
            MICRO_BATCH,
            DTYPE,
            OPTIMIZER,
            RECOMPUTE,
            *MESH,
            *READING,
            *MODEL_OUTPUT,
        ),
        run,
    ),
)
