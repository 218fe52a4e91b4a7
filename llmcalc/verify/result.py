"""The table of a verification: what was declared, what was observed, and whether they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.architecture import Architecture

Number = int | float


@dataclass(frozen=True)
class Check:
    """One line: a quantity with its declared and observed value, in ``unit``.

    ``tolerance`` is relative; 0 for what is counted. ``detail`` says where they differ.
    """

    quantity: str
    declared: Number
    observed: Number
    unit: str
    tolerance: float = 0.0
    detail: str = ""
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the two agree, and nothing is said to differ."""
        return not self.detail and abs(self.declared - self.observed) <= self.tolerance * abs(self.observed)

    @property
    def difference(self) -> Number:
        """Observed minus declared."""
        return self.observed - self.declared


@dataclass(frozen=True)
class Verification:
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
        names = ("quantity", "declared", "observed", "unit", "tolerance", "detail", "note", "ok")
        rows = [{name: getattr(check, name) for name in names} for check in self.checks]
        return {"ok": self.ok, "model": self.architecture.name, "checks": rows}
