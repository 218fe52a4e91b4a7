"""``llmcalc diff A B``: where two architectures differ."""

from __future__ import annotations

from typing import Any

from ..options import ALLOW_UNKNOWN, AS, MODEL, OUTPUT, SET
from ..spec import Argument, Command, Option

SAME, DIFFERENT = 0, 1
FIRST = Argument("first", MODEL.help, complete=MODEL.complete)
SECOND = Argument("second", "The model to compare with.", complete=MODEL.complete)
SET_BOTH = Option(
    "--set", "overrides", "Override a variable or key of both models. Repeatable.", repeatable=True, metavar=SET.metavar
)
SET_FIRST = Option(
    "--set-first", "of_first", "Override a variable or key of the first model only.", repeatable=True,
    metavar=SET.metavar,
)  # fmt: skip
SET_SECOND = Option(
    "--set-second", "of_second", "Override a variable or key of the second model only.", repeatable=True,
    metavar=SET.metavar,
)  # fmt: skip


def run(
    first: str,
    second: str,
    overrides: list[str],
    of_first: list[str],
    of_second: list[str],
    form: str | None,
    as_json: bool,
    **reading: Any,
) -> int:
    """Exit code 1 if the models differ."""
    from ...api.diff import diff
    from ...api.load import load_each
    from ...report.compare import diff_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    models = load_each(((first, [*overrides, *of_first]), (second, [*overrides, *of_second])), **reading)
    result = diff(*models)
    write(diff_document(result), chosen)
    return SAME if result.same else DIFFERENT


COMMANDS = (
    Command(
        "diff",
        (FIRST, SECOND, SET_BOTH, SET_FIRST, SET_SECOND, AS, ALLOW_UNKNOWN, *OUTPUT),
        run,
        "llmcalc diff llama3-8b llama3.1-8b",
    ),
)
