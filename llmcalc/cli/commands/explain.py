"""The ``llmcalc explain`` command for showing how a quantity is derived."""

from __future__ import annotations

from typing import Any

from ...core.zoo_search import module_names
from ..memory_options import QUANTITY as SETTINGS
from ..memory_options import settings
from ..options import MODEL, NOTES, READING, TREE_OUTPUT, load_model
from ..output import Answer, printed
from ..spec import Argument, Command, Option

QUANTITY = Argument("quantity", f"Quantity to explain: {', '.join(module_names('quantities'))}.", complete="quantities")
DEPTH = Option("--depth", "Number of tree levels to show (default: all).", kind=int)
SELECT = Option("--path", "Show only components whose path contains this text.", "TEXT", "select")


@printed
def run(model: str, quantity: str, depth: int | None, select: str | None, **given: Any) -> Answer:
    """Print the derivation."""
    from ...api.explain import explain
    from ...report.explain import explain_document

    result = explain(load_model(model, given), quantity, depth=depth, select=select, **settings(given, SETTINGS))
    return explain_document(result, depth, select)


COMMANDS = (Command("explain", (MODEL, QUANTITY, DEPTH, SELECT, *SETTINGS, *READING, *TREE_OUTPUT, NOTES), run),)
