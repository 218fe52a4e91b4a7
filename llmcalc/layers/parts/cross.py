"""Keys and values from an encoder [vaswani2017, Section 3.2.3]."""

from __future__ import annotations

from typing import ClassVar

from ...core.part import Part
from ...core.record import record


@record
class Cross(Part):
    """Cross-attention, whose keys and values are projected from the output of an encoder.

    Attributes:
        d_source: encoder output width (default: d_model of the layer).
        streams: number of copies of each token among the queries (ProphetNet).
    """

    d_source: int | None = None
    streams: int = 1

    SHRINK: ClassVar[dict[str, str]] = {"d_source": "width", "streams": "keep"}
