"""``llmcalc compare A B [C ...]``: models side by side."""

from __future__ import annotations

from ..options import OUTPUT, SET
from ..spec import Argument, Command

MODELS = Argument("models", "Two or more models; the first is what the others are measured by.", 2, True, "models")


def run(models: list[str], overrides: list[str], form: str | None, as_json: bool) -> int:
    """Count all of them, and print."""
    from ...calc.params import params
    from ...loading import load
    from ...report.compare import compare_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    results = [params(load(model, overrides=overrides)) for model in models]
    write(compare_document(results), chosen)
    return 0


COMMAND = Command(
    "compare",
    "Set models side by side: structure and every quantity.",
    (MODELS, SET, *OUTPUT),
    run,
    "llmcalc compare bert palm",
)
