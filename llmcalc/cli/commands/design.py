"""``llmcalc design FAMILY --params 13B``: shapes of a family for a target."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from ..options import BATCH, OUTPUT
from ..spec import Argument, Command, Option

if TYPE_CHECKING:
    from ...core.architecture import Architecture

FAMILY = Argument("family", "A preset family whose rules of shape are followed, such as llama3.", complete="models")
TARGETS = (
    Option("--params", "params", "Aim at so many parameters, such as 13B.", metavar="N"),
    Option("--active", "active", "Aim at so many parameters that a token uses.", metavar="N"),
    Option("--flops", "flops", "Aim at so many FLOPs of a token in a forward pass at --seq.", metavar="N"),
    Option("--memory", "memory", "Aim at so much memory of serving in bf16 at --batch and --seq.", metavar="SIZE"),
)
SEQ = Option("--seq", "seq", "Tokens of a sequence.", kind=int, default=2048, metavar="N")
MULTIPLE = Option("--multiple", "multiple", "Widths are multiples of this.", kind=int, default=128, metavar="N")
TP = Option("--tp", "tp", "Heads divide among so many tensor-parallel ranks.", kind=int, default=8, metavar="N")
WITHIN = Option("--within", "within", "How far from the target a shape may be.", default="2%", metavar="SHARE")
UNITS = {"params": "parameters", "active": "parameters", "flops": "FLOPs", "memory": "bytes"}
NAMES = {"params": "parameters", "active": "active", "flops": "FLOPs a token", "memory": "memory"}


def run(
    family: str,
    batch: int,
    seq: int,
    multiple: int,
    tp: int,
    within: str,
    form: str | None,
    as_json: bool,
    **targets: str | None,
) -> int:
    """Search, and print."""
    from ...api.design import Rules, design
    from ...estimate.amounts import read_share
    from ...report.design import design_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    given = {name: text for name, text in targets.items() if text is not None}
    if len(given) != 1:
        flags = ", ".join(option.flag for option in TARGETS)
        raise InputError("design needs one target", where="design", hint=f"give one of {flags}")
    for flag, number in (("multiple", multiple), ("tp", tp), ("batch", batch), ("seq", seq)):
        if number < 1:
            raise InputError(f"{number} is too small", parameter=flag, hint="give 1 or more")
    ((quantity, text),) = given.items()
    rules = Rules(multiple, tp, read_share(within, "within"))
    result = design(family, _target(quantity, text), _measure(quantity, batch, seq), rules)
    write(design_document(result, NAMES[quantity], UNITS[quantity]), chosen)
    return 0


def _target(quantity: str, text: str) -> int:
    from ...calc.memory.fit import read_size
    from ...estimate.amounts import read_amount

    if quantity == "memory":
        size = read_size(text, "memory")
        if size < 1:
            raise InputError("nothing fits into no memory", parameter="memory", hint="such as 24GiB")
        return size
    return max(1, int(read_amount(text, quantity, "13B")))


def _measure(quantity: str, batch: int, seq: int) -> Callable[[Architecture], int]:
    from ...api.memory import memory
    from ...calc.flops import flops
    from ...calc.params import params

    measures: dict[str, Callable[[Any], int]] = {
        "params": lambda model: params(model).total,
        "active": lambda model: params(model).active,
        "flops": lambda model: flops(model, seq=seq).total // seq,
        "memory": lambda model: memory(model, batch=batch, seq=seq).peak,
    }
    return measures[quantity]


COMMAND = Command(
    "design",
    "Find sizes for a target: parameters, FLOPs or memory.",
    (FAMILY, *TARGETS, SEQ, BATCH, MULTIPLE, TP, WITHIN, *OUTPUT),
    run,
    "llmcalc design llama3 --params 13B",
)
