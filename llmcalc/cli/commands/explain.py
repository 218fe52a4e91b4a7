"""The ``llmcalc explain`` command for showing how a quantity is derived."""

from __future__ import annotations

from typing import Any

from ...core.zoo_search import module_names
from ..memory_options import MEMORY, TABLE, settings
from ..options import KERNELS, MODEL, SIZES, STEP, TOKENS, load_model
from ..output import Answer, printed
from ..spec import Argument, Command, Option

QUANTITY = Argument(
    "quantity", f"Quantity to explain: {', '.join(module_names('quantities', 'api'))}.", complete="quantities"
)
DEPTH = Option("--depth", "Number of tree levels to show (default: all).", kind=int)
SELECT = Option("--path", "Show only components whose path contains this text.", "TEXT", "select")


@printed
def run(model: str, quantity: str, depth: int | None, select: str | None, **given: Any) -> Answer:
    """Print the derivation."""
    from ...api.explain import explain
    from ...report.explain import explain_document

    workload = settings(given, (*SIZES, *STEP, *MEMORY, TOKENS, KERNELS))
    result = explain(load_model(model, given), quantity, depth=depth, select=select, **workload)
    return explain_document(result, depth, select)


COMMANDS = (
    Command(
        "explain",
        (MODEL, QUANTITY, DEPTH, SELECT, TOKENS, KERNELS, *STEP, *TABLE),
        run,
        "llmcalc explain gpt3 params --depth 2",
    ),
)
