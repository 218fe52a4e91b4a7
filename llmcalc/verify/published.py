"""The figures that are published of an architecture, as lines of its verification."""

from __future__ import annotations

from collections.abc import Iterator

from ..calc.params import params
from ..core.architecture import Architecture
from .result import Check

_ATTRIBUTES = {"params": "total"}


def published(architecture: Architecture) -> Iterator[Check]:
    """Each expected figure against the count; one that is known not to be reproduced says why, and holds."""
    counted = params(architecture)
    for fact in architecture.expect:
        value = getattr(counted, _ATTRIBUTES.get(fact.quantity, fact.quantity))
        label = f"{fact.quantity}, as published"
        declared = fact.value if fact.note else value
        yield Check(label, declared, fact.value, "params", fact.tolerance, note=fact.note or fact.source)
