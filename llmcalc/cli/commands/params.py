"""``llmcalc params MODEL``: how many parameters, and where they are."""

from __future__ import annotations

from ..options import MODEL, OUTPUT, SET
from ..spec import Command, Option

BY = Option(
    "--by", "by", "Break the total down by this.", default="component", choices=("component", "layer", "tensor")
)
LAYOUT = Option(
    "--layout",
    "layout",
    "List every tensor as this layout stores it.",
    metavar="NAME",
    complete="layouts",
)


def run(model: str, by: str, layout: str | None, overrides: list[str], form: str | None, as_json: bool) -> int:
    """Count, and print."""
    from ...calc.params import params
    from ...loading import load
    from ...report.params import params_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    result = params(load(model, overrides=overrides))
    write(params_document(result, by, layout, with_tree=chosen == "tree"), chosen)
    return 0


COMMAND = Command(
    "params", "Count the parameters of a model.", (MODEL, BY, LAYOUT, SET, *OUTPUT), run, "llmcalc params gpt3"
)
