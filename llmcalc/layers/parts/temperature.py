"""Query scaling that grows with the position [nakanishi2025]."""

from __future__ import annotations

from typing import ClassVar

from ...core.part import Part
from ...core.record import record


@record
class Temperature(Part):
    """Query scale ``1 + rate · ln(1 + floor((position + start) / length))``.

    Attributes:
        rate: factor of the logarithm.
        law: ``log`` (as above) or ``power`` (``(1 + (position + start) / length)^rate``; Beam).
        length: ``length`` in the query scale.
        start: ``start`` in the query scale (0 in Ministral 3, otherwise 1).
    """

    rate: float
    law: str = "log"
    length: int = 8192
    start: int = 1

    SHORT: ClassVar[str] = "rate"
    ABSENT: ClassVar[object] = 0.0
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"start"})
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"law": ("log", "power")}
    POSITIONS: ClassVar[frozenset[str]] = frozenset({"length", "start"})
    SHRINK: ClassVar[dict[str, str]] = {"length": "always 5 3"}
