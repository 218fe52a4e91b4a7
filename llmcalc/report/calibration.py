"""Report for ``calibrate`` with the factors of each measured deployment, or of measured training steps."""

from __future__ import annotations

from ..serving.calibration import Calibration
from .document import Document, Table, table_of
from .json_envelope import envelope
from .numbers import duration

MOST_SHOWN = 20  # measurements, and rows that are left out
NOTE = (
    "factors hold for the measured model, GPU, engine and format of the weights only; the time to the first token "
    "keeps its estimate"
)
OF_STEPS = "factors hold for the measured model, GPU, number format and training program only"


def calibration_document(result: Calibration, source: str = "", written: str | None = None) -> Document:
    """Build the report of a calibration. The title is the answer.

    Args:
        result: the calibration.
        source: file of the measurements.
        written: file that the calibration is saved in.
    """
    left = list(result.left_out.items())
    notes = [*([NOTE] if result.deployments else []), *([OF_STEPS] if result.steps else [])]
    more = f"left out: {len(left) - MOST_SHOWN:,} more rows" if len(left) > MOST_SHOWN else ""

    return Document(
        f"✓ {result.summary}",
        lambda: envelope(
            "calibrate", {"rows": source}, {**result.to_dict(), "evidence": result.evidence, "notes": notes}
        ),
        subtitle=(f"written to {written}" if written else "",),
        warnings=(*(f"left out: {row}: {reason}" for row, reason in left[:MOST_SHOWN]), more, *result.warnings),
        tables=(_factors(result), _steps(result), _measurements(result)),
        notes=tuple(notes),
    )


def _factors(result: Calibration) -> Table:
    return table_of("factors", result.deployments, {
        "deployment: name": "title", "rows: number": "n_rows",
        "kernels ×: text": lambda each: f"{each.factors.decode:.3f}",
        "prefills ×: text": lambda each: f"{each.factors.prefill:.3f}",
        "a step: text": lambda each: duration(each.factors.step_s),
        "error before: share": lambda each: each.error(is_calibrated=False),
        "after: share": lambda each: each.error(is_calibrated=True),
    })  # fmt: skip


def _steps(result: Calibration) -> Table:
    return table_of("training steps", result.steps, {
        "setup: name": "title", "steps: number": "n_steps", "layouts: number": "n_rows",
        "measured / modelled: text": lambda each: f"{each.factor:.3f}", "spread: share": "spread",
    })  # fmt: skip


def _measurements(result: Calibration) -> Table:
    rows = [row for each in result.deployments for row in each.rows]
    title = "measurements" if len(rows) <= MOST_SHOWN else f"first {MOST_SHOWN} of {len(rows):,} measurements"
    return table_of(title, rows[:MOST_SHOWN], {
        "row: name": "row", "measured: text": lambda row: duration(row.measured_s),
        "before: text": lambda row: duration(row.before_s), "after: text": lambda row: duration(row.after_s),
        "error: text": lambda row: f"{row.after_s / row.measured_s - 1:+.1%}",
    })  # fmt: skip
