"""``llmcalc flops MODEL``: the floating-point operations of a step, by part."""

from __future__ import annotations

from typing import Any

from ..options import (
    CONTEXT,
    FRAMES,
    LOGITS,
    MODE,
    MODEL,
    OUTPUT,
    PAIRS_ALONE,
    PATCHES,
    READING,
    SIZES,
    reading,
)
from ..spec import Command, Option

CONVENTION = Option(
    "--convention", "convention", "Count what transformers' eager PyTorch code executes.", choices=("torch",)
)
RECOMPUTE = Option(
    "--recompute", "recompute", "Training: show what the backward pass recomputes.", default="none",
    choices=("none", "selective", "full"),
)  # fmt: skip
BY = Option(
    "--by", "by", "Break the total down by component or layer.", default="component", choices=("component", "layer")
)
WORKLOAD = (*SIZES, MODE, CONTEXT, PATCHES, FRAMES, PAIRS_ALONE, LOGITS, CONVENTION)


def run(model: str, recompute: str, by: str, form: str | None, as_json: bool, **given: Any) -> int:
    """Count, and print."""
    from ...api.defaults import cached_tokens
    from ...api.flops import flops
    from ...api.load import load
    from ...core.errors import InputError
    from ...report.flops import flops_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    cached_tokens(given["mode"], given["context"])  # before a model is loaded
    if recompute != "none" and given["mode"] != "train":
        raise InputError("applies only to a training step", parameter="recompute", hint="add {mode=train}")
    result = flops(load(model, **reading(given)), **{option.name: given[option.name] for option in WORKLOAD})
    write(flops_document(result, by, recompute), chosen)
    return 0


COMMANDS = (
    Command("flops", (MODEL, *WORKLOAD, RECOMPUTE, BY, *READING, *OUTPUT), run, "llmcalc flops gpt3 --mode train"),
)
