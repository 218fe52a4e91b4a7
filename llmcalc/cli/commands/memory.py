"""``llmcalc memory MODEL``: what serving or training holds in memory."""

from __future__ import annotations

from typing import Any

from ..memory_options import TABLE, asked
from ..options import MODEL
from ..spec import Command


def run(model: str, **given: Any) -> int:
    """Add up, and print."""
    from ...api.memory import memory
    from ...calc.memory.inference import InferenceMemory
    from ...report.memory import memory_document
    from ..output import chosen_format, write

    chosen = chosen_format(given["form"], given["as_json"])
    architecture, words = asked(model, given)
    result = memory(architecture, **words)
    ideal = None
    if isinstance(result, InferenceMemory) and words.get("page"):
        ideal = memory(architecture, **{**words, "page": None}).state_size
    write(memory_document(architecture, result, ideal), chosen)
    return 0


COMMAND = Command(
    "memory",
    "Add up the memory of serving or of a training step.",
    (MODEL, *TABLE),
    run,
    "llmcalc memory llama3-8b --weights q4_k_m --seq 8192",
)
