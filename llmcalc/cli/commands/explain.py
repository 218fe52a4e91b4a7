"""``llmcalc explain MODEL QUANTITY``: how a number is made."""

from __future__ import annotations

from ..options import MODEL, OUTPUT, SET
from ..spec import Argument, Command, Option

QUANTITY = Argument("quantity", "What to explain: params.", complete="quantities")
DEPTH = Option("--depth", "depth", "Go down to this level of the tree only.", kind=int, metavar="N")
SELECT = Option("--select", "select", "Show only the parts whose path contains this text.", metavar="TEXT")
QUANTITIES = ("params",)


def run(
    model: str,
    quantity: str,
    depth: int | None,
    select: str | None,
    overrides: list[str],
    form: str | None,
    as_json: bool,
) -> int:
    """Derive, and print."""
    from ...calc.params import params
    from ...core.errors import InputError, UnknownNameError
    from ...loading import load
    from ...report.explain import explain_document
    from ..output import chosen_format, write

    if quantity not in QUANTITIES:
        raise UnknownNameError("quantity", quantity, QUANTITIES, hint=f"(explained are: {', '.join(QUANTITIES)})")
    if depth is not None and depth < 0:
        raise InputError(f"--depth is {depth}", hint="give 0 for the total alone, 1 for its parts, and so on")
    chosen = chosen_format(form, as_json)
    architecture = load(model, overrides=overrides)
    write(explain_document(architecture, quantity, params(architecture).tree, depth, select), chosen)
    return 0


COMMAND = Command(
    "explain",
    "Show how a number is made: formulas, values, sources.",
    (MODEL, QUANTITY, DEPTH, SELECT, SET, *OUTPUT),
    run,
    "llmcalc explain gpt3 params --depth 2",
)
