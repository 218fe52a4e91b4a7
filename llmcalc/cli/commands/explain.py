"""The ``llmcalc explain`` command for showing how a quantity is derived."""

from __future__ import annotations

from typing import Any

from ..memory_options import TABLE, settings
from ..options import MODEL, STEP, TOKENS, load_model
from ..output import Answer, printed
from ..spec import Argument, Command, Option

QUANTITY = Argument(
    "quantity", "Quantity to explain: params, active, flops, state, memory or train.", complete="quantities"
)
DEPTH = Option("--depth", "Number of tree levels to show (default: all).", kind=int)
SELECT = Option("--select", "Show only components whose path contains this text.", "TEXT")


@printed
def run(model: str, quantity: str, depth: int | None, select: str | None, tokens: str | None, **given: Any) -> Answer:
    """Print the derivation."""
    from ...api.explain import explain
    from ...report.explain import explain_document

    workload = settings(given) | ({} if tokens is None else {"tokens": tokens})
    result = explain(load_model(model, given), quantity, depth=depth, select=select, **workload)
    return explain_document(result, depth, select)


COMMANDS = (
    Command(
        "explain",
        (MODEL, QUANTITY, DEPTH, SELECT, TOKENS, *STEP, *TABLE),
        run,
        "llmcalc explain gpt3 params --depth 2",
    ),
)
