"""Inputs of projections that differ from the layer input."""

from __future__ import annotations

from typing import ClassVar

from ...core.part import Part
from ...core.record import record


@record
class Inputs(Part):
    """Widths and sources of the inputs of the projections.

    Attributes:
        width: input width, if different from d_model (Zamba concatenates the residual stream and the embeddings).
        value_width: input width of the value projection, if different (MobileBERT).
        values_of: name of the sub-layer whose input stream is also the value projection input.
    """

    width: int | None = None
    value_width: int | None = None
    values_of: str = ""

    SHRINK: ClassVar[dict[str, str]] = {"width value_width": "width"}
