"""``llmcalc design FAMILY --params 13B``: sizes of a model family for a target."""

from __future__ import annotations

from typing import Any

from ..options import BATCH, OUTPUT
from ..spec import Argument, Command, Option

FAMILY = Argument("family", "Preset family whose proportions are kept, such as llama3.", complete="models")
SETTINGS = (
    Option("--params", "params", "Target number of parameters, such as 13B.", metavar="N"),
    Option("--active", "active", "Target number of active parameters.", metavar="N"),
    Option("--flops", "flops", "Target forward FLOPs per token at --seq.", metavar="N"),
    Option("--memory", "memory", "Target memory of serving in bf16 at --batch and --seq.", metavar="SIZE"),
    Option("--seq", "seq", "Sequence length in tokens.", kind=int, default=2048, metavar="N"),
    BATCH,
    Option("--multiple", "multiple", "Round widths to multiples of this.", kind=int, default=128, metavar="N"),
    Option("--tp", "tp", "Tensor-parallel ranks that must divide the heads.", kind=int, default=8, metavar="N"),
    Option("--within", "within", "Tolerance, relative to the target.", default="2%", metavar="SHARE"),
)


def run(family: str, form: str | None, as_json: bool, **given: Any) -> int:
    """Search, and print."""
    from ...api.design import design
    from ...report.design import design_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    write(design_document(design(family, **given)), chosen)
    return 0


COMMANDS = (Command("design", (FAMILY, *SETTINGS, *OUTPUT), run, "llmcalc design llama3 --params 13B"),)
