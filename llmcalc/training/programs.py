"""Training programs: what they run at the same time, their attention kernels, and how their steps deviate."""

from __future__ import annotations

from functools import cache

from ..core.record import record
from ..data import table
from .schedule import Overlaps, TrainingCoefficients

UNKNOWN_PROGRAM = ""


@record
class Program:
    """A training program.

    Attributes:
        name: short name, or empty for any program.
        title: full name.
        overlaps: collectives that it runs at the same time as kernels.
        flash: generation of FlashAttention that it uses.
        factor: time of its steps relative to the estimate of any program.
        rows: number of published steps to which ``factor`` is fitted.
    """

    name: str
    title: str
    overlaps: Overlaps
    flash: int
    factor: float = 1.0
    rows: int = 0

    def slower_attention(self, family: str) -> float:
        """Return the time of attention relative to the kernels that were measured on a family of accelerators."""
        slower = table("training_time")["flash"].get(self.flash, {})
        return float(slower.get(family, slower.get("other", 1.0)))


@cache
def programs() -> dict[str, Program]:
    """Return the known programs by name, and that of an unknown program under an empty name."""
    entries = table("training_time")["programs"]
    return {
        name: Program(
            name, entry["title"], Overlaps(**dict.fromkeys(entry["hides"], 1)), entry["flash"], entry.get("factor", 1.0),
            entry.get("rows", 0),
        )
        for name, entry in entries.items()
    }  # fmt: skip


def program(name: str | None) -> Program:
    """Return a program by name. Of a program that is not known, the usual overlaps are assumed."""
    known = programs()
    return known.get(name or UNKNOWN_PROGRAM, known[UNKNOWN_PROGRAM])


def coefficients() -> TrainingCoefficients:
    """Return the coefficients of all programs."""
    return TrainingCoefficients(**table("training_time")["coefficients"])
