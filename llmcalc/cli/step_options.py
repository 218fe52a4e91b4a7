"""Options of a step whose FLOPs are counted, and how they become arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.errors import InputError
from .spec import Option

MODE = Option(
    "--mode", "mode", "The step: forward, train (forward and backward) or decode (after --context cached tokens).",
    default="forward", choices=("forward", "train", "decode"),
)  # fmt: skip
CONTEXT = Option("--context", "context", "Tokens that are cached before a decode step.", kind=int, metavar="N")
LOGITS = Option(
    "--logits", "logits", "Logits of all new positions, or of the last one.", default="all", choices=("all", "last")
)
PAIRS = Option(
    "--pairs", "pairs", "FLOPs: count the visible pairs of query and key, or all of them.", default="causal",
    choices=("causal", "dense"),
)  # fmt: skip
STEP = (MODE, CONTEXT, PAIRS, LOGITS)  # of commands whose --attention is the kernel's


def check_step(mode: str, context: int | None) -> None:
    """See that a decode step says what it follows.

    Raises:
        InputError: it does not.
    """
    if mode == "decode" and context is None:
        hint = "give their number: --context"
        raise InputError("a decode step follows cached tokens", parameter="mode", hint=hint)


def step(given: dict[str, Any], varied: Sequence[str] = ()) -> dict[str, Any]:
    """The keywords of ``llmcalc.flops`` for the options of ``STEP``; ``varied`` are sizes that a sweep gives.

    Raises:
        InputError: a decode step that follows nothing.
    """
    check_step(given["mode"], 0 if "context" in varied else given["context"])
    context = given["context"] or 0
    return {"mode": given["mode"], "context": context, "attention": given["pairs"], "logits": given["logits"]}
