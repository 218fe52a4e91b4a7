"""The ``llmcalc compare`` command for comparing the costs of models."""

from __future__ import annotations

from typing import Any

from ...analysis.compare import compared
from ..memory_options import quantity_options, settings
from ..options import CHART_OUTPUT, NOTES, READING, load_models
from ..output import Answer, printed
from ..spec import Argument, Command

MODELS = Argument("models", "Two or more models; ratios are relative to the first.", 2, True, "models")
SETTINGS = quantity_options(compared())


@printed
def run(models: list[str], **given: Any) -> Answer:
    """Print the comparison."""
    from ...api.compare import compare
    from ...report.compare import compare_document

    return compare_document(compare(*load_models(models, given), **settings(given, SETTINGS)))


COMMANDS = (Command("compare", (MODELS, *SETTINGS, *READING, *CHART_OUTPUT, NOTES), run),)
