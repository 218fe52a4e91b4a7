"""The ``llmcalc train`` command for estimating the compute, time, cost and energy of a training run."""

from __future__ import annotations

from ...core.type_names import TYPE_CHECKING, Any
from ...inputs.training_settings import BATCH_TOKENS, CALIBRATION, ENERGY, MEASURED_TIME, MICRO_BATCH, STACK, ZERO_GROUP
from ..memory_options import (
    ADAPTERS,
    DTYPE,
    MACHINE,
    MESH,
    OPTIMIZER,
    PRICE,
    RECOMPUTE,
    TOKENS,
    machine,
    settings,
    training_mesh,
)
from ..options import ALL, COUNT, EXTEND, MODEL_OUTPUT, READING, SEQ, TARGET_SEQ, values
from ..output import Answer, printed
from ..spec import Command, option_of
from ..training_options import TRAINED_MODEL, TRAINING_FILE, load_trained

if TYPE_CHECKING:
    from ...training.files import TrainingFile

POWER = tuple(map(option_of, ENERGY))
STEP, PROGRAM, GROUP = map(option_of, (MICRO_BATCH, STACK, ZERO_GROUP))
MEASURED = tuple(map(option_of, (*MEASURED_TIME, CALIBRATION)))
RUN = (TOKENS, SEQ, TARGET_SEQ, EXTEND, COUNT, option_of(BATCH_TOKENS))


@printed
def run(model: str, **given: Any) -> Answer:
    """Print a summary of the training run. The exit code is 1 if a mesh is given and a step does not fit in memory."""
    from ...report.train import train_document
    from ...training.run import read_run

    amounts = settings(given, (*POWER, PRICE))
    gpus = machine(given, needs_mfu=False)
    architecture, given, file = load_trained(model, given, gpus.count if gpus else None)
    given = _of_file(file, given, on_mesh=gpus is not None and bool(given["dp"])) if file else given
    own = {
        **values((*RUN, *MEASURED, STEP, PROGRAM, GROUP, *ADAPTERS), given), **settings(given, (DTYPE,)), **amounts,
        "model": architecture, "gpu": gpus,
        "mesh": training_mesh(given, architecture, gpus.count if gpus else None),
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


OPTIONS = (
    *RUN, *MACHINE, *MEASURED, *POWER, PROGRAM, STEP, DTYPE, OPTIMIZER, RECOMPUTE, *ADAPTERS, *MESH, GROUP,
    *READING,     *MODEL_OUTPUT, ALL,
)  # fmt: skip
COMMANDS = (Command("train", (TRAINED_MODEL, TRAINING_FILE, *OPTIONS), run),)
