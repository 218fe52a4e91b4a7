"""Notebook display of results as HTML fragments."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .document import Document, Fact
from .formats.html import notebook
from .heading import SIZES, model_document, workload_line

if TYPE_CHECKING:
    from ..calc.kv_cache import StateSize

# result class -> module and function of its document, by name so that displaying a count does not import NumPy
_DOCUMENTS = {
    "Architecture": ("notebook", "architecture_document"),
    "Checked": ("notebook", "check_one_document"),
    "Communication": ("communication", "communication_document"),
    "Comparison": ("compare", "compare_document"),
    "Design": ("design", "design_document"),
    "Diff": ("compare", "diff_document"),
    "Explanation": ("explain", "explain_document"),
    "FitResult": ("fit", "fit_document"),
    "Flops": ("flops", "flops_document"),
    "InferenceMemory": ("memory", "memory_document"),
    "ParallelMemory": ("memory", "memory_document"),
    "Params": ("params", "params_document"),
    "Plan": ("scale", "scale_document"),
    "StateSize": ("notebook", "state_document"),
    "Sweep": ("sweep", "sweep_document"),
    "Traffic": ("traffic", "traffic_document"),
    "Training": ("train", "train_document"),
    "Verification": ("notebook", "verification_document"),
}


def html(result: Any) -> str:
    """Render the result as HTML that includes its style sheet."""
    for kind in type(result).__mro__:
        if kind.__name__ in _DOCUMENTS:
            module, function = _DOCUMENTS[kind.__name__]
            return notebook(getattr(import_module(f".{module}", __package__), function)(result))
    raise TypeError(f"{type(result).__name__} has no notebook display")


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
    from ..calc.params import params
    from .params import params_document

    return params_document(params(model))


def state_document(result: StateSize) -> Document:
    """Build a report on a model's KV cache and recurrent state sizes."""
    from .memory import BYTES, ROLES

    roles = [Fact(ROLES[role], size, BYTES) for role, size in result.by_role.items()]
    facts = (Fact("state", result.bytes, BYTES), Fact("elements", result.elements, "elements"), *roles)
    lines = (workload_line(result.workload, SIZES),)
    return model_document(result.architecture, "state", lambda: ({}, result.to_dict()), lines=lines, facts=facts)
