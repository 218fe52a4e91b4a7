"""Bounds of the time step of a state-space layer."""

from __future__ import annotations

from ...core.part import Part
from ...core.record import record


@record
class TimeStep(Part):
    """Clamp of the time step Δ, applied after its softplus.

    Attributes:
        least, most: bounds of the time step.
    """

    least: float = 0.0
    most: float | None = None

    def lines(self) -> list[str]:
        """Return the equation that clamps the time step of each head."""
        return ["dt[b q H] = clamp(dt)"] if self.least > 0 or self.most is not None else []
