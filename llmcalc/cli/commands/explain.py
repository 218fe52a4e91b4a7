"""``llmcalc explain MODEL QUANTITY``: how a number is derived."""

from __future__ import annotations

from typing import Any

from ..memory_options import TABLE, settings
from ..options import MODEL, STEP, reading
from ..spec import Argument, Command, Option

QUANTITY = Argument("quantity", "Quantity: params, active, flops, state, memory or train.", complete="quantities")
DEPTH = Option("--depth", "depth", "Levels of the tree to show (default: all).", kind=int, metavar="N")
SELECT = Option("--select", "select", "Show only parts whose path contains this text.", metavar="TEXT")
TOKENS = Option("--tokens", "tokens", "Training tokens, such as 15T (default: as published).", metavar="AMOUNT")


def run(
    model: str,
    quantity: str,
    depth: int | None,
    select: str | None,
    tokens: str | None,
    form: str | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Derive, and print."""
    from ...api.explain import explain
    from ...api.load import load
    from ...report.explain import explain_document
    from ..output import chosen_format, write

    wanted = settings(given) | ({} if tokens is None else {"tokens": tokens})
    chosen = chosen_format(form, as_json)
    found = explain(load(model, **reading(given)), quantity, depth=depth, select=select, **wanted)
    write(explain_document(found, depth, select), chosen)
    return 0


COMMANDS = (
    Command(
        "explain",
        (MODEL, QUANTITY, DEPTH, SELECT, TOKENS, *STEP, *TABLE),
        run,
        "llmcalc explain gpt3 params --depth 2",
    ),
)
