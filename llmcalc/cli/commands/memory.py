"""``llmcalc memory MODEL``: the memory of serving, or of a training step."""

from __future__ import annotations

from typing import Any

from ..memory_options import TABLE, memory_arguments
from ..options import MODEL, reading
from ..spec import Command


def run(model: str, **given: Any) -> int:
    """Add up, and print."""
    from ...api.load import load
    from ...api.memory import memory
    from ...calc.memory.inference import InferenceMemory
    from ...report.memory import memory_document
    from ..output import chosen_format, write

    chosen = chosen_format(given["form"], given["as_json"])
    arguments = memory_arguments(given)
    architecture = load(model, **reading(given))
    result = memory(architecture, **arguments)
    unpaged = None
    if isinstance(result, InferenceMemory) and arguments.get("page"):
        unpaged = memory(architecture, **{**arguments, "page": None}).state_size
    write(memory_document(result, unpaged), chosen)
    return 0


COMMANDS = (Command("memory", (MODEL, *TABLE), run, "llmcalc memory llama3-8b --weights q4_k_m --seq 8192"),)
