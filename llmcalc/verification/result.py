"""Verification results, which compare declared and observed values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..core.architecture import Architecture
from ..core.notebook_display import NotebookDisplay
from .equation_model import generated_models

Number = int | float


@dataclass(frozen=True)
class Check:
    """Comparison of a quantity's declared and observed values, both in ``unit``."""

    quantity: str
    declared: Number
    observed: Number
    unit: str
    tolerance: float = 0.0  # relative tolerance; 0 for exact counts
    detail: str = ""  # where the values differ; empty if they agree
    note: str = ""  # what else was compared
    source: str = ""  # source of a published figure
    explained: str = ""  # known reason why a published figure differs; such a check passes

    @property
    def ok(self) -> bool:
        """Whether the values agree or the difference has a known explanation."""
        is_within = abs(self.difference) <= self.tolerance * abs(self.observed)
        return not self.detail and (is_within or bool(self.explained))

    @property
    def difference(self) -> Number:
        """Observed value minus declared value."""
        return self.observed - self.declared

    def to_dict(self) -> dict[str, Any]:
        """Return the check as a dictionary."""
        return {**vars(self), "ok": self.ok}


@dataclass(frozen=True, repr=False)
class Verification(NotebookDisplay):
    """All checks of an architecture, with the small version of the architecture used in the run."""

    architecture: Architecture
    small: Architecture
    checks: tuple[Check, ...]

    EVIDENCE: ClassVar[dict[str, str]] = {"checks": "executed"}

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of the checks, which do not depend on whether the sizes of the model are published."""
        return {"checks": "exact"} if self.generated else dict(self.EVIDENCE)

    @property
    def summary(self) -> str:
        """One-line summary of the checks."""
        wrong = [check.quantity for check in self.checks if not check.ok]
        return f"{self.architecture.name}: {f'differs in {wrong}' if wrong else f'{len(self.checks)} checks ok'}"

    @property
    def ok(self) -> bool:
        """Whether all checks pass."""
        return all(check.ok for check in self.checks)

    @property
    def generated(self) -> tuple[str, ...]:
        """Layer kinds with a NumPy model generated from their equations."""
        return tuple(generated_models(self.architecture))

    def to_dict(self) -> dict[str, Any]:
        """Return the verification as a dictionary."""
        checks = [check.to_dict() for check in self.checks]
        data = {"ok": self.ok, "model": self.architecture.name, "checks": checks, "evidence": self.evidence}
        return data | ({"generated": list(self.generated)} if self.generated else {})
