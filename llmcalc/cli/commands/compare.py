"""``llmcalc compare A B [C ...]``: models next to each other."""

from __future__ import annotations

from typing import Any

from ..memory_options import MEMORY, settings
from ..options import OUTPUT, READING, SIZES, STEP, reading
from ..spec import Argument, Command

MODELS = Argument("models", "Two or more models; ratios are relative to the first.", 2, True, "models")


def run(models: list[str], form: str | None, as_json: bool, **given: Any) -> int:
    """Compare, and print."""
    from ...api.compare import compare
    from ...api.load import load_all
    from ...report.compare import compare_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    write(compare_document(compare(*load_all(models, **reading(given)), **settings(given))), chosen)
    return 0


COMMANDS = (Command("compare", (MODELS, *STEP, *SIZES, *MEMORY, *READING, *OUTPUT), run, "llmcalc compare bert palm"),)
