"""The ``llmcalc compare`` command for comparing models, and ``llmcalc diff`` for comparing architectures."""

from __future__ import annotations

from typing import Any

from ...api.compare import compared
from ..memory_options import quantity_options, settings
from ..options import ALLOW_UNKNOWN, AS, MODEL, OUTPUT, READING, SET, load_models, values
from ..output import Answer, printed
from ..spec import Argument, Command, Option

MODELS = Argument("models", "Two or more models; ratios are relative to the first.", 2, True, "models")
SETTINGS = quantity_options(compared())
FIRST = Argument("first", MODEL.help, complete=MODEL.complete)
SECOND = Argument("second", "Model to compare with the first.", complete=MODEL.complete)
OVERRIDES = tuple(
    Option(flag, f"Override a variable or key of {which}. Repeatable.", SET.metavar, name, repeatable=True)
    for flag, name, which in (
        ("--set", "overrides", "both models"),
        ("--set-first", "of_first", "the first model only"),
        ("--set-second", "of_second", "the second model only"),
    )
)


@printed
def run_compare(models: list[str], **given: Any) -> Answer:
    """Print the comparison."""
    from ...api.compare import compare
    from ...report.compare import compare_document

    return compare_document(compare(*load_models(models, given), **settings(given, SETTINGS)))


@printed
def run_diff(first: str, second: str, **given: Any) -> Answer:
    """Print the differences. The exit code is 1 if there are any differences."""
    from ...api.diff import diff
    from ...api.load import load_each
    from ...report.compare import diff_document

    both, of_first, of_second = values(OVERRIDES, given).values()
    models = load_each(((first, both + of_first), (second, both + of_second)), **values((AS, ALLOW_UNKNOWN), given))
    result = diff(*models)
    return diff_document(result), result.same


COMMANDS = (
    Command("compare", (MODELS, *SETTINGS, *READING, *OUTPUT), run_compare, "llmcalc compare bert palm"),
    Command(
        "diff", (FIRST, SECOND, *OVERRIDES, AS, ALLOW_UNKNOWN, *OUTPUT), run_diff, "llmcalc diff llama3-8b llama3.1-8b"
    ),
)
