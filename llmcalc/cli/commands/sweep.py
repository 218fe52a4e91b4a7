"""The ``llmcalc sweep`` command for evaluating quantities over a range of workloads."""

from __future__ import annotations

from typing import Any

from ..memory_options import TABLE, settings
from ..options import MODEL, STEP, load_model
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
    "--over", "Range, such as seq=1k..1M:x2, seq=1k..32k:+1k or batch=1,8,64 (1k is 1024; repeatable).", "SIZE=VALUES",
    repeatable=True,
)  # fmt: skip


@printed
def run(model: str, quantities: list[str], over: list[str], **given: Any) -> Answer:
    """Print the values."""
    from ...api.sweep import sweep
    from ...report.sweep import sweep_document

    return sweep_document(sweep(load_model(model, given), quantities, over, **settings(given)))


COMMANDS = (
    Command(
        "sweep",
        (MODEL, QUANTITY, OVER, *STEP, *TABLE),
        run,
        "llmcalc sweep llama3-8b flops.total state.bytes --over seq=1k..1M:x2",
    ),
)
