"""The ``llmcalc rl`` command for the memory of a step of reinforcement learning, phase by phase."""

from __future__ import annotations

from typing import Any

from ..memory_options import FORMATS, GRADIENTS, MEMORY, MESH, OPTIMIZER, RECOMPUTE, settings
from ..options import MODEL, NOTES, OUTPUT, READING, is_given, load_model
from ..output import Answer, printed
from ..spec import Command, Option

GPU = Option(
    "--gpu", "GPU name or memory of one GPU, with an optional count: h100:8 or 80GiB.", "NAME[:N]", complete="gpus"
)
STEP = (
    Option(
        "--algorithm",
        "Algorithm (default: grpo). ppo adds a critic and a reward model.",
        choices=("grpo", "ppo"),
        default="grpo",
    ),
    Option(
        "--rollout",
        "Engine on the GPUs of the trainer (default), or on others.",
        choices=("colocate", "separate"),
        default="colocate",
    ),
    Option("--completions", "Completions per prompt, the size of a group (default: 8).", kind=int),
    Option("--prompt", "Tokens of a prompt (default: 512).", "TOKENS"),
    Option("--completion", "Tokens of a completion (default: 256).", "TOKENS"),
    Option("--micro-batch", "Completions in a backward pass on one GPU (default: a group).", kind=int),
    Option("--share", "Share of a GPU for the engine (default: 0.3; on GPUs of its own, that of the engine).", "SHARE"),
    Option("--sleep", "Sleep level of the engine during training: 0 (default), 1 or 2.", "LEVEL", kind=int),
    Option("--reference", "Keep a reference model (always with ppo; with LoRA it takes no memory).", kind=bool),
    Option("--offload", "Keep weights and optimizer in host memory during the rollout.", kind=bool),
    Option("--engine-tp", "Tensor-parallel ranks of the engine (default: 1).", kind=int),
)
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
    from ...report.rl import rl_document

    if gpu is None:
        raise InputError("missing GPU", parameter="gpu", hint="use a name such as {gpu=h100}, or {gpu=80GiB}")
    own = {option.name: given[option.name] for option in STEP if is_given(option, given)}
    result = rl(load_model(model, given), gpu, **own, **settings(given, TRAINING))
    typed = {**given, "model": model, "gpu": gpu}
    return rl_document(result, lambda change: COMMANDS[0].line({**typed, **change})), result.fits


COMMANDS = (Command("rl", (MODEL, GPU, *STEP, *TRAINING, *READING, *OUTPUT, NOTES), run),)
