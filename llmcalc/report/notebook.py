"""Notebook output of a result: the document of its command as an HTML fragment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..calc.flops import Flops
from ..calc.kv_cache import StateSize
from ..calc.memory.inference import InferenceMemory
from ..calc.memory.pipeline import ParallelMemory
from ..calc.params import Params, params
from ..core.architecture import Architecture
from .document import Document, Fact
from .formats.html import notebook
from .model import structure, title, warnings
from .workload import workload_line


def html(result: Any) -> str:
    """The result as HTML, including its style.

    Raises:
        TypeError: not a result of llmcalc.
    """
    for kind in type(result).__mro__:
        if kind.__name__ in _DOCUMENTS:
            return notebook(_DOCUMENTS[kind.__name__](result))
    raise TypeError(f"{type(result).__name__} has no notebook display")


def _params(result: Params) -> Document:
    from .params import params_document

    return params_document(result)


def _flops(result: Flops) -> Document:
    from .flops import flops_document

    return flops_document(result, params(result.architecture))


def _inference(result: InferenceMemory) -> Document:
    from .memory import memory_document

    return memory_document(result.architecture, result)


def _training(result: ParallelMemory) -> Document:
    from .memory import memory_document

    return memory_document(result.worst.architecture, result)


def _state(result: StateSize) -> Document:
    from .memory import BYTES, ROLES, SAID

    roles = [Fact(ROLES[role], size, BYTES) for role, size in result.by_role.items()]
    facts = (Fact("state", result.bytes, BYTES), Fact("elements", result.elements, "elements"), *roles)
    model = result.architecture
    lines = (*structure(model), workload_line(result.workload, SAID))
    return Document(title(model), result.to_dict, lines, warnings(model), facts, notes=model.notes)


def _architecture(model: Architecture) -> Document:
    return _params(params(model))


def _verification(result: Any) -> Document:
    from .verify import Outcome, verify_document

    model = result.architecture
    return verify_document(model, Outcome(model.name, model.name, result))


def _sweep(result: Any) -> Document:
    from .sweep import sweep_document

    return sweep_document(result)


def _comparison(result: Any) -> Document:
    from .compare import compare_document

    return compare_document(result)


def _diff(result: Any) -> Document:
    from .diff import diff_document

    return diff_document(result)


def _design(result: Any) -> Document:
    from .design import design_document

    return design_document(result)


def _checked(result: Any) -> Document:
    from .lint_report import check_document

    return check_document([result])


def _explanation(result: Any) -> Document:
    from .explain import explain_document

    return explain_document(result)


def _fit(result: Any) -> Document:
    from .fit import fit_document

    return fit_document(result)


def _plan(result: Any) -> Document:
    from .scale import scale_document

    return scale_document(result)


def _run(result: Any) -> Document:
    from .train import train_document

    return train_document(result)


# by name, so that displaying a count does not import NumPy
_DOCUMENTS: dict[str, Callable[[Any], Document]] = {
    "Architecture": _architecture,
    "Checked": _checked,
    "Comparison": _comparison,
    "Design": _design,
    "Diff": _diff,
    "Explanation": _explanation,
    "FitResult": _fit,
    "Params": _params,
    "Flops": _flops,
    "InferenceMemory": _inference,
    "ParallelMemory": _training,
    "Plan": _plan,
    "StateSize": _state,
    "Sweep": _sweep,
    "Training": _run,
    "Verification": _verification,
}
