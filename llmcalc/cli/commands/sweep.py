"""``llmcalc sweep MODEL QUANTITY... --over seq=1k..1M:x2``: quantities over many workloads."""

from __future__ import annotations

from typing import Any

from ..memory_options import ALL, arguments
from ..options import BATCH, EXTEND, MODEL, OUTPUT, READING, SEQ, TARGET_SEQ, reading
from ..spec import Argument, Command, Option
from .flops import CONTEXT, LOGITS, MODE

QUANTITY = Argument(
    "quantities", "What to evaluate: flops.total, state.bytes, memory.peak, params.active ...", 1, True, "swept"
)
OVER = Option(
    "--over", "over", "What varies: seq=1k..1M:x2, seq=1k..32k:+1k, batch=1,8,64 (k is 1024). May be repeated.",
    repeatable=True, metavar="SIZE=VALUES",
)  # fmt: skip
PAIRS = Option(
    "--pairs", "pairs", "FLOPs: count the visible pairs of query and key, or all of them.", default="causal",
    choices=("causal", "dense"),
)  # fmt: skip


def run(
    model: str,
    quantities: list[str],
    over: list[str],
    batch: int,
    seq: int | None,
    mode: str,
    context: int | None,
    target_seq: int | None,
    pairs: str,
    logits: str,
    extend: bool,
    form: str | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Evaluate, and print."""
    from ...core.errors import InputError
    from ...loading import load
    from ...report.sweep import sweep_document
    from ...report.workload import usual_seq
    from ...sweep import read_axis, sweep
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    if not over:
        raise InputError("sweep needs something that varies", where="--over", hint="such as --over seq=1k..32k:x2")
    axes = [read_axis(text) for text in over]
    words = arguments(given)
    architecture = load(model, **reading(given))
    length = seq if seq is not None else 1 if mode == "decode" else usual_seq(architecture)
    result = sweep(
        architecture, axes, quantities, words, batch=batch, seq=length, mode=mode, context=context or 0,
        target_seq=target_seq, attention=pairs, logits=logits, extend=extend, convention=given["convention"],
    )  # fmt: skip
    write(sweep_document(result), chosen)
    return 0


COMMAND = Command(
    "sweep",
    "Evaluate quantities over many workloads.",
    (
        MODEL, QUANTITY, OVER, BATCH, SEQ, MODE, CONTEXT, TARGET_SEQ, PAIRS, LOGITS, EXTEND, *ALL, *READING, *OUTPUT,
    ),
    run,
    "llmcalc sweep llama3-8b flops.total state.bytes --over seq=1k..1M:x2",
)  # fmt: skip
