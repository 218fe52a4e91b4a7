"""The ``llmcalc design`` command for finding shapes of a model family that meet a target."""

from __future__ import annotations

from typing import Any

from ...analysis.quantity import targets
from ..memory_options import quantity_options, settings
from ..options import BATCH, CHART_OUTPUT, SET, example, metavar, values
from ..output import Answer, printed
from ..spec import Argument, Command, Option
from .sweep import OVER

FAMILY = Argument(
    "family", "Preset family, such as llama3, or preset file to scale while keeping its proportions.", complete="models"
)
SETTINGS = (
    *(Option(f"--{each.name}", f"Target {each.phrase or each.title}, such as {example(each)}.", metavar(each))
      for each in targets().values()),
    Option("--seq", "Sequence length in tokens.", kind=int, default=2048),
    BATCH,
    Option("--multiple", "Round widths to multiples of this number.", kind=int, default=128),
    Option("--tp", "Number of tensor-parallel ranks (must divide the number of heads).", kind=int, default=8),
    Option("--within", "Tolerance relative to the target.", "SHARE", default="2%"),
)  # fmt: skip

VARIED = (SET, OVER)
OF_QUANTITY = quantity_options(targets().values(), without=SETTINGS)


@printed
def run(family: str, **given: Any) -> Answer:
    """Print the candidate shapes."""
    from ...api.design import design
    from ...report.design import design_document

    return design_document(
        design(
            family,
            **values(SETTINGS, given),
            overrides=given["overrides"],
            over=given["over"] or None,
            **settings(given, OF_QUANTITY),
        )
    )


COMMANDS = (Command("design", (FAMILY, *SETTINGS, *VARIED, *OF_QUANTITY, *CHART_OUTPUT), run),)
