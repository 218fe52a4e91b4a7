"""The ``llmcalc memory`` command for computing the memory required for serving or a training step."""

from __future__ import annotations

from typing import Any

from ..memory_options import TABLE, memory_arguments
from ..output import Answer, printed
from ..spec import Command, Option
from ..training_options import TRAINED_MODEL, TRAINING_FILE, load_trained


@printed
def run(model: str, **given: Any) -> Answer:
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


IMAGE = Option(
    "--image", "Serving: size of an image in each sequence, such as 1024x768. Repeatable.", "SIZE", repeatable=True
)
COMMANDS = (Command("memory", (TRAINED_MODEL, TRAINING_FILE, IMAGE, *TABLE), run),)
