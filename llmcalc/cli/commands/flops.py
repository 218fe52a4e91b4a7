"""``llmcalc flops MODEL``: what a step computes, and where."""

from __future__ import annotations

from typing import Any

from ..options import BATCH, EXTEND, MODEL, OUTPUT, READING, SEQ, TARGET_SEQ
from ..spec import Command, Option

MODE = Option(
    "--mode", "mode", "The step: forward, train (forward and backward) or decode (after --context cached tokens).",
    default="forward", choices=("forward", "train", "decode"),
)  # fmt: skip
CONTEXT = Option("--context", "context", "Tokens that are cached before a decode step.", kind=int, metavar="N")
ATTENTION = Option(
    "--attention", "attention", "Count the visible pairs of query and key, or all of them.",
    default="causal", choices=("causal", "dense"),
)  # fmt: skip
LOGITS = Option(
    "--logits", "logits", "Logits of all new positions, or of the last one.", default="all", choices=("all", "last")
)
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
    extend: bool,
    form: str | None,
    as_json: bool,
    **reading: Any,
) -> int:
    """Count, and print."""
    from ...calc.flops import flops
    from ...calc.params import params
    from ...core.errors import InputError
    from ...loading import load
    from ...report.flops import flops_document
    from ...report.workload import usual_seq
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    if mode == "decode" and context is None:
        raise InputError(
            "a decode step follows cached tokens", where="--mode decode", hint="give their number: --context"
        )
    if recompute != "none" and mode != "train":
        raise InputError("only a training step computes anything again", where="--recompute", hint="add --mode train")
    architecture = load(model, **reading)
    length = seq if seq is not None else 1 if mode == "decode" else usual_seq(architecture)
    result = flops(
        architecture, batch=batch, seq=length, mode=mode, context=context or 0, target_seq=target_seq,
        attention=attention, logits=logits, convention=convention, extend=extend,
    )  # fmt: skip
    write(flops_document(result, params(architecture), by, recompute), chosen)
    return 0


COMMAND = Command(
    "flops",
    "Count the floating-point operations of a step.",
    (
        MODEL, BATCH, SEQ, MODE, CONTEXT, TARGET_SEQ, ATTENTION, LOGITS, CONVENTION, RECOMPUTE, BY, EXTEND, *READING,
        *OUTPUT,
    ),
    run,
    "llmcalc flops gpt3 --mode train",
)  # fmt: skip
