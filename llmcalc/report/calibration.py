"""Report for ``calibrate`` with the factors of each measured deployment."""

from __future__ import annotations

from typing import Any

from ..serving.calibration import Calibration
from .document import Document, Table, columns
from .numbers import duration

MOST_SHOWN = 20  # measurements, and rows that are left out


def calibration_document(result: Calibration, source: str = "", written: str | None = None) -> Document:
    """Build the report of a calibration. The title is the answer.

    Args:
        result: the calibration.
        source: file of the measurements.
        written: file that the calibration is saved in.
    """
    left = list(result.left_out.items())
    shown = [f"left out: {place}: {reason}" for place, reason in left[:MOST_SHOWN]]
    if len(left) > MOST_SHOWN:
        shown.append(f"left out: {len(left) - MOST_SHOWN:,} more rows")

    def data() -> dict[str, Any]:
        from .json_envelope import envelope

        own = result.to_dict()
        return envelope("calibrate", {"rows": source}, {**own, "evidence": result.evidence, "notes": list(_notes())})

    return Document(
        f"✓ {result.summary}",
        data,
        subtitle=(f"written to {written}",) if written else (),
        warnings=(*shown, *result.warnings),
        tables=(_factors(result), _measurements(result)),
        notes=_notes(),
    )


def _factors(result: Calibration) -> Table:
    rows = [
        (each.title, each.n_rows, f"{each.factors.decode:.3f}", f"{each.factors.prefill:.3f}",
         duration(each.factors.step_s), each.error(is_calibrated=False), each.error(is_calibrated=True))
        for each in result.deployments
    ]  # fmt: skip
    heads = columns(
        "deployment: name", "rows: number", "kernels ×: text", "prefills ×: text", "a step: text",
        "error before: share", "after: share",
    )  # fmt: skip
    return Table("factors", heads, rows)


def _measurements(result: Calibration) -> Table:
    rows = [
        (row.row, duration(row.measured_s), duration(row.before_s), duration(row.after_s),
         f"{row.after_s / row.measured_s - 1:+.1%}")
        for each in result.deployments
        for row in each.rows
    ]  # fmt: skip
    heads = columns("row: name", "measured: text", "before: text", "after: text", "error: text")
    title = "measurements" if len(rows) <= MOST_SHOWN else f"first {MOST_SHOWN} of {len(rows):,} measurements"
    return Table(title, heads, rows[:MOST_SHOWN])


def _notes() -> tuple[str, ...]:
    return (
        "factors hold for the measured model, GPU, engine and format of the weights only; the time to the first token "
        "keeps its estimate",
    )
