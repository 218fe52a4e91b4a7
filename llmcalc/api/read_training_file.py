"""Models and settings from files of training programs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from ..core.setting import check_values, read_texts
from ..inputs.models import Source
from ..training.files import READING, TrainingFile, read_file


def read_training_file(
    path: str | os.PathLike[str],
    model: Source | None = None,
    *,
    gpus: int | None = None,
    overrides: Sequence[str] = (),
    as_: str | None = None,
    strict: bool = False,
    allow_unknown: Iterable[str] = (),
    **settings: Any,
) -> TrainingFile:
    r"""Read the model and the settings of a training program's file, such as one of Axolotl or torchtitan.

    >>> import llmcalc, pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "lora.yml")
    >>> _ = file.write_text("base_model: Qwen/Qwen3-8B\nadapter: lora\nlora_r: 16\nlora_target_linear: true\n")
    >>> found = llmcalc.read_training_file(file)
    >>> found.options["lora_rank"], found.options["seq"]
    (16, 512)
    >>> llmcalc.memory(found.architecture, **found.settings).peak == llmcalc.memory(
    ...     "qwen3-8b", mode="training", seq=512, lora_rank=16, gradients="fp32",
    ...     lora_targets=["wq", "wk", "wv", "wo", "wg", "wu", "wd"]).peak
    True

    Args:
        path: YAML, JSON or TOML file.
        model: model to use in place of the one that the file names, as in ``load``.
        gpus: number of GPUs, from which the number of data-parallel ranks follows.
        overrides: ``path=value`` strings that change the model, as in ``load``.
        as_: ``model_type`` to read the model's config as, as in ``load``.
        strict: whether every unknown key of the file is an error. By default, only a key that resembles one that is
            read is an error, and results carry a warning about other unknown keys.
        allow_unknown: unknown keys of the file or of the model's config to ignore.
        settings: settings that replace those of the file, as in ``fit``.

    Raises:
        InputError: the file cannot be read, or a value has no counterpart.
    """
    check_values(READING, locals())
    reading = {"overrides": overrides, "as_": as_}
    return read_file(path, model, gpus, read_texts(allow_unknown, "allow_unknown"), strict, reading, settings)
