"""The ``llmcalc train`` command for estimating the compute, time, cost and energy of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..memory_options import ADAPTERS, DTYPE, MACHINE, MESH, OPTIMIZER, RECOMPUTE, machine, price, training_mesh
from ..options import COUNT, EXTEND, MODEL_OUTPUT, READING, SEQ, TARGET_SEQ, TOKENS, values
from ..output import Answer, printed
from ..spec import Command, Option
from ..training_options import TRAINED_MODEL, TRAINING_FILE, load_trained

if TYPE_CHECKING:
    from ...training.files import TrainingFile

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
    from ...estimate.amounts import amount
    from ...report.train import train_document
    from ...training.run import read_run

    energy: dict[str, Any] = {
        name: amount(text, name, "1.1") for name, text in values(ENERGY, given).items() if text is not None
    }
    gpus = machine(given, needs_mfu=False)
    architecture, given, file = load_trained(model, given, gpus.count if gpus else None)
    given = _of_file(file, given, on_mesh=gpus is not None and bool(given["dp"])) if file else given
    own = {
        **values((*RUN, MICRO_BATCH, DTYPE, *ADAPTERS), given), **energy, "model": architecture, "gpu": gpus,
        "mesh": training_mesh(given, architecture), "price": price(given),
        "optimizer": given["optimizer"] or "adamw", "recompute": given["recompute"] or "none",
    }  # fmt: skip
    result = read_run(own, file.settings if file else None).answer()
    stated = {name: given[name] is not None for name in ("tokens", "seq")}
    return train_document(result, stated["tokens"], seq_stated=stated["seq"]), result.fit is None or result.fit.fits


def _of_file(file: TrainingFile, given: dict[str, Any], *, on_mesh: bool) -> dict[str, Any]:
    """Return the options with the run that a file describes.

    The settings of a step only matter for its memory, which is computed for a mesh of GPUs.
    """
    from ...core.errors import InputError
    from ...inputs.defaults import default_seq

    if not on_mesh:
        given = {**given, **{option.name: option.default for option in (RECOMPUTE, *MESH)}}
    step = file.step_sequences * (given["seq"] or default_seq(file.architecture))
    if not given["tokens"] and not file.steps:
        raise InputError("states no number of steps", where=file.path, hint="add {tokens=1B}")
    return {
        **given, "micro_batch": file.options.get("batch", 1) if on_mesh else 1,
        "batch_tokens": given["batch_tokens"] or step, "tokens": given["tokens"] or step * (file.steps or 0),
    }  # fmt: skip


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
            *ADAPTERS,
            *MESH,
            *READING,
            *MODEL_OUTPUT,
        ),
        run,
    ),
)
