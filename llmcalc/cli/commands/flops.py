"""The ``llmcalc flops`` command for counting the floating-point operations of a step."""

from __future__ import annotations

from typing import Any

from ...core import setting
from ...core.errors import InputError
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
)  # fmt: skip
from ..output import Answer, printed
from ..spec import Command, Option, option_of

CONVENTION = option_of(setting.CONVENTION, "Count the operations that transformers' eager PyTorch code executes.")
RECOMPUTE = Option(
    "--recompute", "Training: show the FLOPs of recomputation in the backward pass.", default="none",
    choices=MEMORY_RECOMPUTE.choices,
)  # fmt: skip
BY = Option("--by", "Break the total down by component or layer.", default="component", choices=("component", "layer"))
WORKLOAD = (*SIZES, MODE, CONTEXT, PATCHES, FRAMES, COUNT, LOGITS, CONVENTION)


@printed
def run(model: str, recompute: str, by: str, **given: Any) -> Answer:
    """Print the FLOP counts."""
    from ...api.flops import flops
    from ...inputs.defaults import cached_tokens
    from ...report.flops import flops_document

    cached_tokens(given["mode"], given["context"])  # before a model is loaded
    if recompute != "none" and given["mode"] != "train":
        raise InputError("applies only to training steps", parameter="recompute", hint="add {mode=train}")
    return flops_document(flops(load_model(model, given), **values(WORKLOAD, given)), by, recompute)


COMMANDS = (Command("flops", (MODEL, *WORKLOAD, RECOMPUTE, BY, *READING, *MODEL_OUTPUT), run),)
