"""``llmcalc flops MODEL``: what a step computes, and where."""

from __future__ import annotations

from typing import Any

from ...core.errors import InputError
from ..options import BATCH, EXTEND, FRAMES, MODEL, OUTPUT, PATCHES, READING, SEQ, TARGET_SEQ
from ..spec import Command, Option
from ..step_options import CONTEXT, LOGITS, MODE, check_step

ATTENTION = Option(
    "--attention", "attention", "Count the visible pairs of query and key, or all of them.",
    default="causal", choices=("causal", "dense"),
)  # fmt: skip
CONVENTION = Option(
    "--convention", "convention", "Count what transformers' eager code executes in torch.", choices=("torch",)
)
RECOMPUTE = Option(
    "--recompute", "recompute", "In training, count apart what the backward pass computes again.",
    default="none", choices=("none", "selective", "full"),
)  # fmt: skip
BY = Option("--by", "by", "Break the total down by this.", default="component", choices=("component", "layer"))


def run(
    model: str,
    batch: int,
    seq: int | None,
    mode: str,
    context: int | None,
    target_seq: int | None,
    attention: str,
    logits: str,
    convention: str | None,
    recompute: str,
    by: str,
    patches: int,
    frames: int,
    extend: bool,
    form: str | None,
    as_json: bool,
    **reading: Any,
) -> int:
    """Count, and print."""
    from ...api.load import load
    from ...calc.flops import flops
    from ...calc.params import params
    from ...report.flops import flops_document
    from ...report.workload import usual_seq
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    check_step(mode, context)
    if recompute != "none" and mode != "train":
        raise InputError("only a training step computes anything again", parameter="recompute", hint="add --mode train")
    architecture = load(model, **reading)
    length = seq if seq is not None else 1 if mode == "decode" else usual_seq(architecture)
    result = flops(
        architecture, batch=batch, seq=length, mode=mode, context=context or 0, target_seq=target_seq,
        attention=attention, logits=logits, convention=convention, extend=extend,
        patches=patches, frames=frames,
    )  # fmt: skip
    write(flops_document(result, params(architecture), by, recompute), chosen)
    return 0


COMMAND = Command(
    "flops",
    "Count the floating-point operations of a step.",
    (
        MODEL, BATCH, SEQ, MODE, CONTEXT, TARGET_SEQ, PATCHES, FRAMES, ATTENTION, LOGITS, CONVENTION, RECOMPUTE, BY,
        EXTEND, *READING, *OUTPUT,
    ),
    run,
    "llmcalc flops gpt3 --mode train",
)  # fmt: skip
