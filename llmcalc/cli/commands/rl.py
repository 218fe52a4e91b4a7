"""The ``llmcalc rl`` command for the memory of a step of reinforcement learning, phase by phase."""

from __future__ import annotations

from typing import Any

from ...inputs.training_settings import RL as RL_SETTINGS
from ...inputs.training_settings import RL_GPU
from ..memory_options import FORMATS, GRADIENTS, MEMORY, MESH, OPTIMIZER, RECOMPUTE, settings
from ..options import MODEL, NOTES, OUTPUT, READING, load_model
from ..output import Answer, answered, printed
from ..spec import Command, option_of

GPU, *STEP = map(option_of, (RL_GPU, *RL_SETTINGS))
_NAMES = ("attention", "loss", "lora_rank", "lora_targets")
TRAINING = (
    *(option for option in FORMATS if option.name in ("dtype", "weights")), OPTIMIZER, RECOMPUTE, GRADIENTS,
    *(option for option in MEMORY if option.name in _NAMES),
    *(option for option in MESH if option.name in ("dp", "tp", "zero")),
)  # fmt: skip


@printed
def run(model: str, gpu: str | None, **given: Any) -> Answer:
    """Print the memory of each phase on one GPU. The exit code is 1 if a phase does not fit."""
    from ...api.rl import rl
    from ...core.errors import InputError

    if gpu is None:
        raise InputError("missing GPU", parameter="gpu", hint="use a name such as {gpu=h100}, or {gpu=80GiB}")
    result = rl(load_model(model, given), gpu, **settings(given, (*STEP, *TRAINING)))
    return answered(result, spell=lambda change: COMMANDS[0].line({**given, "model": model, "gpu": gpu, **change}))


COMMANDS = (Command("rl", (MODEL, GPU, *STEP, *TRAINING, *READING, *OUTPUT, NOTES), run),)
