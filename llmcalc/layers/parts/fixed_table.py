"""Fixed tables of sinusoidal positions."""

from __future__ import annotations

from typing import ClassVar

from ...core.part import Part
from ...core.record import record


@record
class FixedTable(Part):
    """Buffer of sinusoids in place of a learned table.

    Attributes:
        order: order of the sinusoids: ``interleaved`` [vaswani2017], ``halves`` (sines, then cosines; CTRL),
            ``fairseq`` (halves from frequency 1 to 1/10000, 0 for padding), or ``cosines`` (cosines first).
        blank: index of a zero row (XGLM's padding token).
    """

    order: str = "interleaved"
    blank: int | None = None

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"order": ("interleaved", "halves", "fairseq", "cosines")}
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"blank"})
    SHRINK: ClassVar[dict[str, str]] = {"blank": "at most 1"}  # tables of segments have two rows
