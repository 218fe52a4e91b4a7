"""``llmcalc diff A B``: where two architectures differ; exit code 1 if they do."""

from __future__ import annotations

from typing import Any

from ..options import ALLOW_UNKNOWN, AS, MODEL, OUTPUT, SET
from ..spec import Argument, Command, Option

SAME, DIFFERENT = 0, 1
FIRST = Argument("first", MODEL.help, complete=MODEL.complete)
SECOND = Argument("second", "The model that it is compared with.", complete=MODEL.complete)
SET_BOTH = Option("--set", "overrides", f"In both models: {SET.help}", repeatable=True, metavar=SET.metavar)
SET_FIRST = Option(
    "--set-first", "of_first", "The same in the first model alone.", repeatable=True, metavar=SET.metavar
)
SET_SECOND = Option(
    "--set-second", "of_second", "The same in the second model alone.", repeatable=True, metavar=SET.metavar
)


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
    """Compare, and print."""
    from ...api.load import load_each
    from ...calc.params import params
    from ...report.diff import diff, diff_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    wanted = ((first, [*overrides, *of_first]), (second, [*overrides, *of_second]))
    one, other = load_each(wanted, **reading)
    result = diff(params(one), params(other))
    write(diff_document(result), chosen)
    return SAME if result.same else DIFFERENT


COMMAND = Command(
    "diff",
    "Show where two architectures differ.",
    (FIRST, SECOND, SET_BOTH, SET_FIRST, SET_SECOND, AS, ALLOW_UNKNOWN, *OUTPUT),
    run,
    "llmcalc diff llama3-8b llama3.1-8b",
)
