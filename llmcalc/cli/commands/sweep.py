"""``llmcalc sweep MODEL QUANTITY... --over seq=1k..1M:x2``: quantities over many workloads."""

from __future__ import annotations

from typing import Any

from ...core.errors import InputError
from ..memory_options import MEANT, SIZES, TABLE, asked, is_given, refuse_others
from ..options import MODEL
from ..spec import Argument, Command, Option
from ..step_options import STEP, step

QUANTITY = Argument(
    "quantities", "What to evaluate: flops.total, state.bytes, memory.peak, params.active ...", 1, True, "swept"
)
OVER = Option(
    "--over", "over", "What varies: seq=1k..1M:x2, seq=1k..32k:+1k, batch=1,8,64 (k is 1024). May be repeated.",
    repeatable=True, metavar="SIZE=VALUES",
)  # fmt: skip


def run(
    model: str,
    quantities: list[str],
    over: list[str],
    **given: Any,
) -> int:
    """Evaluate, and print."""
    from ...api.sweep import read_axis, sweep
    from ...report.sweep import sweep_document
    from ..output import chosen_format, write

    chosen = chosen_format(given["form"], given["as_json"])
    if not over:
        raise InputError("sweep needs something that varies", parameter="over", hint="such as --over seq=1k..32k:x2")
    axes = [read_axis(text) for text in over]
    _check(quantities, [axis.name for axis in axes], given)
    architecture, words = asked(model, given)
    sizes = {option.name: words.pop(option.name) for option in SIZES}
    if given["seq"] is None and given["mode"] == "decode":
        sizes["seq"] = 1
    chosen_step = step(given, [axis.name for axis in axes])
    result = sweep(architecture, axes, quantities, words, **sizes, **chosen_step, convention=given["convention"])
    write(sweep_document(result), chosen)
    return 0


def _check(quantities: list[str], varied: list[str], given: dict[str, Any]) -> None:
    """See that every option has a meaning for some quantity, and is not what varies."""
    groups = {quantity.partition(".")[0] for quantity in quantities}
    meant = [option for group in groups for option in MEANT.get(group, ())]
    if groups <= MEANT.keys():
        refuse_others(meant, given, " or ".join(quantities))
    for option in (*SIZES, *STEP):
        if option.name in varied and is_given(option, given):
            raise InputError("varies, and is given as well", parameter=option.name, hint="drop it, or its --over")


COMMAND = Command(
    "sweep",
    "Evaluate quantities over many workloads.",
    (MODEL, QUANTITY, OVER, *STEP, *TABLE),
    run,
    "llmcalc sweep llama3-8b flops.total state.bytes --over seq=1k..1M:x2",
)
