"""The ``llmcalc sweep``, ``compare``, ``diff`` and ``design`` commands: what if the model were different."""

from __future__ import annotations

from typing import Any

from ...analysis.compare import compared
from ...analysis.quantity import targets
from ..memory_options import QUANTITY, quantity_options, settings
from ..options import BATCH, CHART_OUTPUT, MODEL, NOTES, OUTPUT, READING, SET, example, metavar, values
from ..output import Answer, answered, printed
from ..question import question
from ..spec import Argument, Command, Option

QUANTITIES = Argument(
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
SKIP = Option("--skip-invalid", "Leave out points that are an error, and print the reasons.", kind=bool)
MODELS = Argument("models", "Two or more models; ratios are relative to the first.", 2, True, "models")
FIRST = Argument("first", MODEL.help, complete=MODEL.complete)
SECOND = Argument("second", "Model to compare with the first.", complete=MODEL.complete)
OVERRIDES = tuple(
    Option(flag, f"Override a variable or key of {which}. Repeatable.", SET.metavar, name, repeatable=True)
    for flag, name, which in (
        ("--set", "overrides", "both models"),
        ("--set-first", "of_first", "the first model only"),
        ("--set-second", "of_second", "the second model only"),
    )
)
FAMILY = Argument(
    "family", "Preset family, such as llama3, or preset file to scale while keeping its proportions.", complete="models"
)
DESIGN = (
    *(Option(f"--{each.name}", f"Target {each.phrase or each.title}, such as {example(each)}.", metavar(each))
      for each in targets().values()),
    Option("--seq", "Sequence length in tokens.", kind=int, default=2048),
    BATCH,
    Option("--multiple", "Round widths to multiples of this number.", kind=int, default=128),
    Option("--tp", "Number of tensor-parallel ranks (must divide the number of heads).", kind=int, default=8),
    Option("--within", "Tolerance relative to the target.", "SHARE", default="2%"),
)  # fmt: skip
OF_TARGET = quantity_options(targets().values(), without=DESIGN)


@printed
def run_sweep(model: str, quantities: list[str], over: list[str], **given: Any) -> Answer:
    """Print the value of each quantity at every grid point."""
    from ...analysis.axes import read_axes
    from ...api.sweep import sweep
    from ...report.sweep import check_rows, sweep_document

    axes = read_axes(over)
    check_rows(axes)
    asked = {**values((*READING, SKIP), given), **settings(given, QUANTITY)}
    return sweep_document(sweep(model, quantities, axes, **asked))


@printed
def run_diff(first: str, second: str, **given: Any) -> Answer:
    """Print the differences. The exit code is 1 if there are any differences."""
    from ...api.diff import diff
    from ...inputs.models import load_each

    both, of_first, of_second = values(OVERRIDES, given).values()
    models = load_each(((first, both + of_first), (second, both + of_second)), **values(READING[1:], given))
    return answered(diff(*models))


@printed
def run_design(family: str, overrides: list[str], over: list[str], **given: Any) -> Answer:
    """Print the candidate shapes."""
    from ...api.design import design
    from ...report.design import design_document

    asked = {**values(DESIGN, given), **settings(given, OF_TARGET)}
    return design_document(design(family, overrides=overrides, over=over or None, **asked))


COMMANDS = (
    Command("sweep", (MODEL, QUANTITIES, OVER, SKIP, *QUANTITY, *READING, *CHART_OUTPUT, NOTES), run_sweep),
    question("compare", MODELS, quantity_options(compared()), (*CHART_OUTPUT, NOTES)),
    Command("diff", (FIRST, SECOND, *OVERRIDES, *READING[1:], *OUTPUT), run_diff),
    Command("design", (FAMILY, *DESIGN, SET, OVER, *OF_TARGET, *CHART_OUTPUT), run_design),
)
