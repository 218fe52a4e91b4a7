"""Report on the size of a model's KV cache and recurrent states."""

from __future__ import annotations

from ..calc.kv_cache import StateSize
from .document import Document, Fact
from .heading import SIZES, model_document, workload_line
from .memory import ROLES
from .numbers import BYTES


def state_document(result: StateSize) -> Document:
    """Build the state report with the size of each role."""
    roles = [Fact(ROLES[role], size, BYTES) for role, size in result.by_role.items()]
    facts = (Fact("state", result.bytes, BYTES), Fact("elements", result.elements, "elements"), *roles)
    lines, own = (workload_line(result.workload, SIZES),), result.workload
    return model_document(
        result.architecture, "state", lambda: ({}, result.to_dict()), workload=own, lines=lines, facts=facts
    )  # fmt: skip
