"""The ``llmcalc design`` command for finding shapes of a model family that meet a target."""

from __future__ import annotations

from typing import Any

from ..options import BATCH, OUTPUT
from ..output import Answer, printed
from ..spec import Argument, Command, Option

FAMILY = Argument("family", "Preset family, such as llama3, to scale while keeping its proportions.", complete="models")
SETTINGS = (
    Option("--params", "Target number of parameters, such as 13B.", "N"),
    Option("--active", "Target number of active parameters.", "N"),
    Option("--flops", "Target forward FLOPs per token at --seq.", "N"),
    Option("--memory", "Target bf16 serving memory at --batch and --seq.", "SIZE"),
    Option("--seq", "Sequence length in tokens.", kind=int, default=2048),
    BATCH,
    Option("--multiple", "Round widths to multiples of this number.", kind=int, default=128),
    Option("--tp", "Number of tensor-parallel ranks (must divide the number of heads).", kind=int, default=8),
    Option("--within", "Tolerance relative to the target.", "SHARE", default="2%"),
)


@printed
def run(family: str, **given: Any) -> Answer:
    """Print the candidate shapes."""
    from ...api.design import design
    from ...report.design import design_document

    return design_document(design(family, **given))


COMMANDS = (Command("design", (FAMILY, *SETTINGS, *OUTPUT), run, "llmcalc design llama3 --params 13B"),)
