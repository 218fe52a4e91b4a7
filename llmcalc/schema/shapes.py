"""Shapes that a search finds for a target, and the rules that they keep."""

from __future__ import annotations

from typing import Any

from ..core.architecture import Architecture
from ..core.notebook_display import NotebookDisplay
from ..core.record import record

MULTIPLE = 128  # multiple for widths: the largest tile of matrix units
RANKS = 8  # number of GPUs per node, which share the heads
WITHIN = 0.02  # tolerance, relative to the target

Sizes = dict[str, int]


@record
class Rules:
    """Constraints on a shape."""

    multiple: int = MULTIPLE  # widths must be multiples of this
    ranks: int = RANKS  # number of tensor-parallel ranks, which must divide the heads
    within: float = WITHIN  # tolerance, relative to the target
    shaped: bool = True  # keep the family's ratio of width to depth; otherwise only the distance to the target counts


@record
class Candidate:
    """A candidate shape with its sizes, model and value, and its deviations from the target and usual proportions."""

    sizes: Sizes
    architecture: Architecture
    value: int
    off: float
    proportion: float
    unusual: float
    fixed: tuple[str, ...] = ()  # overrides that all candidates share

    @property
    def overrides(self) -> list[str]:
        """Overrides that turn a published size of the family into this model."""
        return [*self.fixed, *(f"{name}={size}" for name, size in self.sizes.items())]

    def to_dict(self) -> dict[str, Any]:
        """Return the candidate as plain data."""
        return {name: getattr(self, name) for name in ("sizes", "value", "off", "proportion")}


@record
class Design(NotebookDisplay):
    """Candidate shapes from best to worst, and the cost of each constraint.

    ``variants`` lists the best shape for each combination of the settings and variables that vary.
    """

    family: str
    base: str  # the published size nearest to the target
    target: int
    rules: Rules
    candidates: tuple[Candidate, ...]
    near: bool  # whether the candidates are within tolerance; if not, the nearest shapes are listed
    without: tuple[tuple[str, Candidate], ...]  # the best shape with each rule dropped
    quantity: str = "params"  # params, active, flops or memory
    variants: tuple[tuple[dict[str, Any], Candidate], ...] = ()
    value_evidence: str = "exact"  # class of evidence of the candidates' values
    step: str = ""  # step that the values describe, such as "decode step", or empty
    unscaled: tuple[str, ...] = ()  # sizes that the family states as numbers, so that they do not grow with d_model

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of the candidates' values."""
        return {self.quantity: self.value_evidence}

    @property
    def summary(self) -> str:
        """One-line summary of the best shape."""
        best = self.candidates[0]
        return f"{self.family}, {self.quantity} {best.value:,}: {', '.join(best.overrides)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the design as plain data."""
        variants = [{"settings": settings, **best.to_dict()} for settings, best in self.variants]
        return {
            "base": self.base,
            "step": self.step,
            "near": self.near,
            "unscaled": list(self.unscaled),
            "candidates": [one.to_dict() for one in self.candidates],
            "without": [{"rule": label, **best.to_dict()} for label, best in self.without],
            **({"variants": variants} if variants else {}),
            "evidence": self.evidence,
        }
