"""The ``llmcalc communication`` command for counting the bytes that the ranks of a mesh exchange."""

from __future__ import annotations

from typing import Any

from ..memory_options import DTYPE, GRADIENTS, MESH, settings
from ..options import CONTEXT, LOGITS, MODE, MODEL, MODEL_OUTPUT, READING, SIZES, load_model
from ..output import Answer, printed
from ..spec import Command

WORKLOAD = (*SIZES, MODE, CONTEXT, LOGITS, DTYPE, GRADIENTS, *MESH)


@printed
def run(model: str, **given: Any) -> Answer:
    """Print the collectives of a step and the bytes that each rank sends."""
    from ...api.communication import communication
    from ...report.communication import communication_document

    return communication_document(communication(load_model(model, given), **settings(given, WORKLOAD)))


COMMANDS = (Command("communication", (MODEL, *WORKLOAD, *READING, *MODEL_OUTPUT), run),)
