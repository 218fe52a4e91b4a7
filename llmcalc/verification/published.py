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
        attribute = _ATTRIBUTES.get(fact.quantity, fact.quantity)
        figure = int(fact.value) if float(fact.value).is_integer() else fact.value
        yield Check(
            f"{attribute.replace('_', '-')}, as published", getattr(counted, attribute), figure, "params",
            fact.tolerance, source=fact.source, explained=fact.note,
        )  # fmt: skip
