"""``llmcalc memory MODEL``: what serving or training holds in memory."""

from __future__ import annotations

from typing import Any

from ..memory_options import ALL, arguments
from ..options import BATCH, EXTEND, MODEL, OUTPUT, READING, SEQ, TARGET_SEQ, reading
from ..spec import Command


def run(
    model: str,
    batch: int,
    seq: int | None,
    target_seq: int | None,
    extend: bool,
    form: str | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Add up, and print."""
    from ...answers import memory
    from ...calc.inference import InferenceMemory
    from ...loading import load
    from ...report.memory import memory_document
    from ...report.workload import usual_seq
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    words = arguments(given)
    architecture = load(model, **reading(given))
    length = seq if seq is not None else usual_seq(architecture)
    words |= {"batch": batch, "seq": length, "target_seq": target_seq, "extend": extend}
    result = memory(architecture, **words)
    ideal = None
    if isinstance(result, InferenceMemory) and words.get("page"):
        ideal = memory(architecture, **{**words, "page": None}).state_size
    write(memory_document(architecture, result, ideal), chosen)
    return 0


COMMAND = Command(
    "memory",
    "Add up the memory of serving or of a training step.",
    (MODEL, BATCH, SEQ, TARGET_SEQ, EXTEND, *ALL, *READING, *OUTPUT),
    run,
    "llmcalc memory llama3-8b --weights q4_k_m --seq 8192",
)
