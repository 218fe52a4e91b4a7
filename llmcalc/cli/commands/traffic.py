"""The ``llmcalc traffic`` command for counting the bytes that a step reads and writes."""

from __future__ import annotations

from typing import Any

from ..memory_options import FORMATS, settings
from ..options import CONTEXT, FRAMES, KERNELS, LOGITS, MODE, MODEL, MODEL_OUTPUT, PATCHES, READING, SIZES, load_model
from ..output import Answer, printed
from ..spec import Command

WORKLOAD = (*SIZES, MODE, CONTEXT, PATCHES, FRAMES, LOGITS, KERNELS, *FORMATS)


@printed
def run(model: str, **given: Any) -> Answer:
    """Print the numbers of bytes read and written."""
    from ...api.traffic import traffic
    from ...report.traffic import traffic_document

    return traffic_document(traffic(load_model(model, given), **settings(given, WORKLOAD)))


COMMANDS = (Command("traffic", (MODEL, *WORKLOAD, *READING, *MODEL_OUTPUT), run),)
