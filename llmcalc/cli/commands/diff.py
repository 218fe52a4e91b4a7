"""The ``llmcalc diff`` command for comparing two architectures."""

from __future__ import annotations

from typing import Any

from ..options import MODEL, OUTPUT, READING, SET, values
from ..output import Answer, printed
from ..spec import Argument, Command, Option

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
def run(first: str, second: str, **given: Any) -> Answer:
    """Print the differences. The exit code is 1 if there are any differences."""
    from ...api.diff import diff
    from ...inputs.models import load_each
    from ...report.compare import diff_document

    both, of_first, of_second = values(OVERRIDES, given).values()
    models = load_each(((first, both + of_first), (second, both + of_second)), **values(READING[1:], given))
    result = diff(*models)
    return diff_document(result), result.same


COMMANDS = (Command("diff", (FIRST, SECOND, *OVERRIDES, *READING[1:], *OUTPUT), run),)
