"""Residual streams that a projection creates or projects back (Gemma 3n)."""

from __future__ import annotations

from typing import ClassVar

from ...core.part import Part
from ...core.record import record


@record
class ResidualStream(Part):
    """Residual stream beside the first one, rescaled to the magnitude of the first stream.

    Attributes:
        index: index of the residual stream to create.
        restores: whether the layer projects the stream back after the blocks.
    """

    index: int
    restores: bool = False

    SHRINK: ClassVar[dict[str, str]] = {"index": "keep"}

    def lines(self, axes: str) -> list[str]:
        """Return the equations that rescale the projection ``y``, and that keep the first stream."""
        if self.restores:
            return [f"y[{axes}] = rescaled(y, first[{axes}])"]
        return [f"y[{axes}] = rescaled(y, x[{axes}])", f"stream[{axes}] = copy(x[{axes}])"]
