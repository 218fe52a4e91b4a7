"""The table of a verification: what was declared, what was observed, and whether they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.architecture import Architecture
from ..core.notebook_display import NotebookDisplay

Number = int | float


@dataclass(frozen=True)
class Check:
    """One line: a quantity with its declared and observed value, in ``unit``.

    Attributes:
        tolerance: relative; 0 for what is counted.
        detail: where the two differ, if they do.
        note: what was compared, beyond the number.
        source: of a published figure, where it stands.
        explained: why a published figure is known to differ; such a line holds.
    """

    quantity: str
    declared: Number
    observed: Number
    unit: str
    tolerance: float = 0.0
    detail: str = ""
    note: str = ""
    source: str = ""
    explained: str = ""

    @property
    def ok(self) -> bool:
        """Whether the two agree, and nothing is said to differ."""
        within = abs(self.difference) <= self.tolerance * abs(self.observed)
        return not self.detail and (within or bool(self.explained))

    @property
    def difference(self) -> Number:
        """Observed minus declared."""
        return self.observed - self.declared

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**vars(self), "ok": self.ok}


@dataclass(frozen=True)
class Verification(NotebookDisplay):
    """All checks of an architecture; ``small`` is what was run."""

    architecture: Architecture
    small: Architecture
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        checks = [check.to_dict() for check in self.checks]
        return {"ok": self.ok, "model": self.architecture.name, "checks": checks}
