"""Notebook display of results as HTML fragments."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..analysis.explain import workload_of
from ..analysis.quantity import quantities
from ..analysis.results import RESULTS
from ..core.zoo_search import find_module
from .document import Document, Fact
from .formats.html import notebook
from .heading import SIZES, model_document, workload_line

if TYPE_CHECKING:
    from ..analysis.quantity import Quantity


def html(result: Any) -> str:
    """Render the result as HTML that includes its style sheet."""
    return notebook(_document(result))


def _document(result: Any) -> Document:
    """Return the report of a result. A quantity has the report of the same name, or else a list of its values."""
    shown = next((RESULTS[kind.__name__] for kind in type(result).__mro__ if kind.__name__ in RESULTS), None)
    if shown:
        return _call(shown.document, result)
    quantity = next((each for each in quantities() if isinstance(result, each.results)), None)
    if quantity is None:
        raise TypeError(f"{type(result).__name__} has no notebook display")
    if find_module("report", quantity.name):
        return _call(f"{quantity.name}.{quantity.name}_document", result)
    return quantity_document(quantity, result)


def _call(document: str, result: Any) -> Document:
    module, function = document.split(".")
    found: Document = getattr(import_module(f".{module}", __package__), function)(result)
    return found


def quantity_document(quantity: Quantity, result: Any) -> Document:
    """Build a report with the parts of a quantity."""
    parts = {part: getattr(result, part) for part in quantity.parts}
    facts = tuple(Fact(part.replace("_", " "), value, quantity.parts[part]) for part, value in parts.items())
    workload = workload_of(result)
    lines = (workload_line(workload, SIZES),) if workload else ()
    return model_document(
        result.architecture, quantity.name, lambda: ({}, result.to_dict()), workload=workload, lines=lines, facts=facts
    )  # fmt: skip


def check_one_document(result: Any) -> Document:
    """Build the lint report for one model."""
    from .lint_report import check_document

    return check_document([result])


def verification_document(result: Any) -> Document:
    """Build the verification report for one model."""
    from .verify import Outcome, verify_document

    model = result.architecture
    return verify_document(model, Outcome(model.name, model.name, result))


def architecture_document(model: Any) -> Document:
    """Build the parameter report for an architecture."""
    from ..api.params import params
    from .params import params_document

    return params_document(params(model))
