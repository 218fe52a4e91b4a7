"""The ``llmcalc sweep`` command for evaluating quantities over a range of workloads."""

from __future__ import annotations

from typing import Any

from ..memory_options import QUANTITY as SETTINGS
from ..memory_options import settings
from ..options import CHART_OUTPUT, MODEL, NOTES, READING, values
from ..output import Answer, printed
from ..spec import Argument, Command, Option

QUANTITY = Argument(
    "quantities",
    "Quantities to evaluate, such as flops.total, state.bytes, memory.peak or params.active.",
    1,
    True,
    "swept",
)
OVER = Option(
    "--over", "Values, such as seq=1k..1M:x2, n_layers=24,32, weights=bf16,nf4 or tp=1,2,4 (1k is 1024; repeatable).",
    "NAME=VALUES", repeatable=True,
)  # fmt: skip


@printed
def run(model: str, quantities: list[str], over: list[str], **given: Any) -> Answer:
    """Print the value of each quantity at every grid point."""
    from ...analysis.axes import read_axes
    from ...api.sweep import sweep
    from ...report.sweep import check_rows, sweep_document

    axes = read_axes(over)
    check_rows(axes)
    return sweep_document(sweep(model, quantities, axes, **values(READING, given), **settings(given, SETTINGS)))


COMMANDS = (
    Command(
        "sweep",
        (MODEL, QUANTITY, OVER, *SETTINGS, *READING, *CHART_OUTPUT, NOTES),
        run,
    ),
)
