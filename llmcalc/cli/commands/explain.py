"""The ``llmcalc explain`` command for deriving a value, and ``llmcalc help quantities`` for defining all values."""

from __future__ import annotations

from typing import Any

from ...core.errors import InputError
from ...core.zoo_search import module_names
from ..memory_options import QUANTITY as SETTINGS
from ..memory_options import settings
from ..options import MODEL, NOTES, OUTPUT, READING, TREE_OUTPUT, load_model
from ..output import Answer, printed
from ..spec import Argument, Command, Option

QUANTITY = Argument(
    "quantity",
    f"Value such as flops.matmul, or the first of {', '.join(module_names('quantities'))} (default: list all values).",
    0,
    complete="quantities",
)
DEPTH = Option("--depth", "Number of tree levels to show (default: all).", kind=int)
SELECT = Option("--path", "Show only components whose path contains this text.", "TEXT", "select")


@printed
def run(model: str, quantity: str | None, depth: int | None, select: str | None, **given: Any) -> Answer:
    """Print the derivation of a value, or all values."""
    from ...analysis.explain import evaluate_all
    from ...api.explain import explain
    from ...report.explain import explain_document, values_document

    if quantity is None:
        for name in (name for name, value in (("depth", depth), ("select", select)) if value is not None):
            raise InputError("needs a quantity", parameter=name, hint="add a quantity such as params")
        return values_document(evaluate_all(load_model(model, given), settings(given, SETTINGS)))
    result = explain(load_model(model, given), quantity, depth=depth, select=select, **settings(given, SETTINGS))
    return explain_document(result, depth, select)


@printed
def run_definitions() -> Answer:
    """Print the definition of every value."""
    from ...report.explain import definitions_document

    return definitions_document()


COMMANDS = (
    Command("explain", (MODEL, QUANTITY, DEPTH, SELECT, *SETTINGS, *READING, *TREE_OUTPUT, NOTES), run),
    Command("help quantities", OUTPUT, run_definitions),
)
