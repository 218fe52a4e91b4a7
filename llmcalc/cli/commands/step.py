"""The ``llmcalc flops``, ``traffic``, ``communication`` and ``memory`` commands: what a step costs."""

from __future__ import annotations

from typing import Any

from ...core import setting
from ...core.errors import InputError
from ..memory_options import DTYPE, FORMATS, GRADIENTS, KERNELS, MESH, TABLE, memory_arguments
from ..memory_options import RECOMPUTE as MEMORY_RECOMPUTE
from ..options import (
    CONTEXT,
    COUNT,
    FRAMES,
    LOGITS,
    MODE,
    MODEL,
    MODEL_OUTPUT,
    PATCHES,
    READING,
    SIZES,
    load_model,
    values,
)
from ..output import Answer, printed
from ..question import question
from ..spec import Command, Option, option_of
from ..training_options import TRAINED_MODEL, TRAINING_FILE, load_trained

CONVENTION = option_of(setting.CONVENTION, help="Count the operations that transformers' eager PyTorch code executes.")
RECOMPUTE = Option(
    "--recompute", "Training: show the FLOPs of recomputation in the backward pass.", default="none",
    choices=MEMORY_RECOMPUTE.choices,
)  # fmt: skip
BY = Option("--by", "Break the total down by component or layer.", default="component", choices=("component", "layer"))
IMAGE = Option(
    "--image", "Serving: size of an image in each sequence, such as 1024x768. Repeatable.", "SIZE", repeatable=True
)
FLOPS = (*SIZES, MODE, CONTEXT, PATCHES, FRAMES, COUNT, LOGITS, CONVENTION)
TRAFFIC = (*SIZES, MODE, CONTEXT, PATCHES, FRAMES, LOGITS, KERNELS, *FORMATS)
COMMUNICATION = (*SIZES, MODE, CONTEXT, LOGITS, DTYPE, GRADIENTS, *MESH)


@printed
def run_flops(model: str, recompute: str, by: str, **given: Any) -> Answer:
    """Print the FLOP counts."""
    from ...api.flops import flops
    from ...inputs.defaults import cached_tokens
    from ...report.flops import flops_document

    cached_tokens(given["mode"], given["context"])  # before a model is loaded
    if recompute != "none" and given["mode"] != "train":
        raise InputError("applies only to training steps", parameter="recompute", hint="add {mode=train}")
    return flops_document(flops(load_model(model, given), **values(FLOPS, given)), by, recompute)


@printed
def run_memory(model: str, **given: Any) -> Answer:
    """Print the required memory. For a paged cache, also print the state size without rounding up to whole pages."""
    from ...api.memory import memory
    from ...calc.memory.inference import InferenceMemory
    from ...report.memory import memory_document

    architecture, given, _ = load_trained(model, given)
    arguments = memory_arguments(given, architecture)
    if given["image"]:
        arguments["image"] = given["image"]
    result = memory(architecture, **arguments)
    unpaged = None
    if isinstance(result, InferenceMemory) and arguments.get("page"):
        unpaged = memory(architecture, **{**arguments, "page": None}).state_size
    return memory_document(result, unpaged)


COMMANDS = (
    Command("flops", (MODEL, *FLOPS, RECOMPUTE, BY, *READING, *MODEL_OUTPUT), run_flops),
    question("traffic", MODEL, TRAFFIC, MODEL_OUTPUT),
    question("communication", MODEL, COMMUNICATION, MODEL_OUTPUT),
    Command("memory", (TRAINED_MODEL, TRAINING_FILE, IMAGE, *TABLE), run_memory),
)
