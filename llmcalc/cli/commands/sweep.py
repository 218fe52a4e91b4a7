"""``llmcalc sweep MODEL QUANTITY... --over seq=1k..1M:x2``: quantities over many workloads."""

from __future__ import annotations

from typing import Any

from ..memory_options import TABLE, settings
from ..options import MODEL, STEP, reading
from ..spec import Argument, Command, Option

QUANTITY = Argument(
    "quantities", "Quantities, such as flops.total, state.bytes, memory.peak or params.active.", 1, True, "swept"
)
OVER = Option(
    "--over", "over", "Size and values: seq=1k..1M:x2, seq=1k..32k:+1k, batch=1,8,64 (k is 1024). Repeatable.",
    repeatable=True, metavar="SIZE=VALUES",
)  # fmt: skip


def run(model: str, quantities: list[str], over: list[str], **given: Any) -> int:
    """Evaluate, and print."""
    from ...api.load import load
    from ...api.sweep import sweep
    from ...report.sweep import sweep_document
    from ..output import chosen_format, write

    chosen = chosen_format(given["form"], given["as_json"])
    write(sweep_document(sweep(load(model, **reading(given)), quantities, over, **settings(given))), chosen)
    return 0


COMMANDS = (
    Command(
        "sweep",
        (MODEL, QUANTITY, OVER, *STEP, *TABLE),
        run,
        "llmcalc sweep llama3-8b flops.total state.bytes --over seq=1k..1M:x2",
    ),
)
