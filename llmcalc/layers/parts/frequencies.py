"""Frequency axis of a convolution over a spectrogram."""

from __future__ import annotations

from typing import ClassVar

from ...core.part import Part
from ...core.record import record


@record
class Frequencies(Part):
    """Frequencies that a convolution also covers.

    Attributes:
        bins: number of output frequency bins.
        taps: kernel size along the frequencies (default: as along time).
    """

    bins: int
    taps: int | None = None

    SHRINK: ClassVar[dict[str, str]] = {"bins": "vocab 97 101 103 107", "taps": "taps_across"}
