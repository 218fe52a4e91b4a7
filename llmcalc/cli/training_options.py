"""The file of a training program as the model and the settings of a command."""

from __future__ import annotations

import os

from ..core.record import changed
from ..core.type_names import TYPE_CHECKING, Any
from .memory_options import MEMORY, settings
from .options import LOADING, MODEL, SIZES, WITH, load_model, values
from .spec import Option

if TYPE_CHECKING:
    from ..core.architecture import Architecture
    from ..training.files import TrainingFile

TRAINED_MODEL = changed(MODEL, help=f"{MODEL.help.removesuffix('.')}; or a training program's file.")
TRAINING_FILE = Option(
    "--training-file", "Read settings from a training program's file, such as Axolotl (options override it).", "FILE"
)


def load_trained(
    model: str, given: dict[str, Any], gpus: int | None = None
) -> tuple[Architecture, dict[str, Any], TrainingFile | None]:
    """Load the model and the settings that a training program's file names. Given options override the file.

    Returns the model, the options with the settings of the file, and what the file says, or None without a file.
    """
    path, rest = given["training_file"], {name: value for name, value in given.items() if name != "training_file"}
    if path is None and not _is_training_file(model):
        return load_model(model, given), rest, None
    path = path or model
    from ..api.read_training_file import read_training_file

    typed = settings(given, (*SIZES, *MEMORY))
    typed |= {"batch": given["micro_batch"]} if given.get("micro_batch", 1) > 1 else {}
    source = None if path == model else model
    file = read_training_file(path, source, gpus=gpus, **values(LOADING, given), **typed)
    found = {name: list(value) if isinstance(value, tuple) else value for name, value in file.options.items()}
    found |= {"no_master": True} if found.pop("master", True) is False else {}
    if extras := given[WITH.name]:
        from ..inputs.extras import with_extras

        file = changed(file, architecture=with_extras(file.architecture, extras))
    return file.architecture, {**rest, **{name: value for name, value in found.items() if name in rest}}, file


def _is_training_file(model: str) -> bool:
    """Return whether a model is given by a training program's file."""
    if not os.path.isfile(model):
        return False
    from ..importers.training_files import find_training_file

    return find_training_file(model) is not None
