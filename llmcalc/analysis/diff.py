"""Differences between two architectures."""

from __future__ import annotations

from typing import Any, ClassVar

from ..calc.params import Params, params
from ..core.architecture import Architecture
from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from ..schema.architecture_diff import Difference, differences, part_names
from .compare import QUANTITIES


@record
class Diff(NotebookDisplay):
    """Two models and the differences between their architectures."""

    first: Params
    second: Params
    differences: tuple[Difference, ...]

    EVIDENCE: ClassVar[dict[str, str]] = {"differences": "exact"}

    @property
    def same(self) -> bool:
        """Whether the architectures are equal, ignoring model names and storage."""
        return not self.differences

    @property
    def verdict(self) -> str:
        """Number of differences as text, or ``the same architecture``."""
        number = len(self.differences)
        return f"{number} difference{'s' * (number > 1)}" if number else "the same architecture"

    @property
    def summary(self) -> str:
        """One-line summary of the model names and the verdict."""
        return f"{self.first.architecture.name}, {self.second.architecture.name}: {self.verdict}"

    def to_dict(self) -> dict[str, Any]:
        """Return the differences and parameter counts as a plain dictionary."""
        return {
            "same": self.same,
            "differences": [entry._asdict() for entry in self.differences],
            "models": [
                {"model": each.architecture.name, **{name: getattr(each, name) for name in QUANTITIES}}
                for each in (self.first, self.second)
            ],
            "difference": {name: getattr(self.second, name) - getattr(self.first, name) for name in QUANTITIES},
            "evidence": self.evidence,
        }


def diff_models(first: Architecture, second: Architecture) -> Diff:
    """Find the differences between two architectures."""
    found = differences(first, second)
    names = part_names(first), part_names(second)
    if not found and names[0] != names[1]:
        found = [Difference("", "names and order of sub-layers", *names)]
    return Diff(params(first), params(second), tuple(found))
