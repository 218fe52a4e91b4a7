"""``llmcalc check MODEL ...``: suspicious shapes, and limits that a model must keep; for continuous integration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from ..options import BATCH, OUTPUT, READING, SEQ
from ..spec import Argument, Command, Option

if TYPE_CHECKING:
    from ...core.architecture import Architecture
    from ...report.lint_report import Limit

MODELS = Argument("models", "One model or several: names, preset files, configs.", 1, True, "models")
SELECT = Option(
    "--select", "select", "Apply these rules alone, such as HW or CF002. May be repeated.", repeatable=True,
    metavar="CODE", complete="rules",
)  # fmt: skip
IGNORE = Option(
    "--ignore", "ignore", "Leave these rules out. May be repeated.", repeatable=True, metavar="CODE", complete="rules"
)
RANKS = (
    Option("--tp", "tp", "Tensor-parallel ranks that it is meant for.", kind=int, metavar="N"),
    Option("--pp", "pp", "Pipeline stages.", kind=int, metavar="N"),
    Option("--ep", "ep", "Expert-parallel ranks.", kind=int, metavar="N"),
)
MAX_PARAMS = Option("--max-params", "max_params", "Parameters at most, such as 8B.", metavar="N")
MAX_ACTIVE = Option("--max-active", "max_active", "Parameters that a token uses, at most.", metavar="N")
MAX_MEMORY = Option(
    "--max-memory", "max_memory", "Memory of serving in bf16 at most, such as 24GiB; see --batch and --seq.",
    metavar="SIZE",
)  # fmt: skip
BUDGET = Option(
    "--budget", "budget", "Training FLOPs of --tokens at most, such as 1e24 or 3640PF-days.", metavar="FLOPS"
)
TOKENS = Option("--tokens", "tokens", "Tokens that it is trained on, such as 15T.", metavar="N")
OK, NO = 0, 1


def run(
    models: list[str],
    select: list[str],
    ignore: list[str],
    tp: int | None,
    pp: int | None,
    ep: int | None,
    form: str | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Check, and print; exit code 1 if something was found or a limit is exceeded."""
    from ...api.load import load_all
    from ...calc.sharding import Mesh
    from ...lint import lint
    from ...report.lint_report import Checked, check_document
    from ..options import reading
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    mesh = _mesh(Mesh, tp, pp, ep)
    found = []
    for architecture in load_all(models, **reading(given)):
        limits = tuple(_limits(architecture, given))
        found.append(Checked(architecture, tuple(lint(architecture, mesh, select, ignore)), limits))
    write(check_document(found), chosen)
    return OK if all(checked.ok for checked in found) else NO


def _mesh(kind: Any, tp: int | None, pp: int | None, ep: int | None) -> Any:
    for flag, ranks in (("tp", tp), ("pp", pp), ("ep", ep)):
        if ranks is not None and ranks < 1:
            raise InputError(f"{ranks} ranks are none", parameter=flag, hint="give 1 or more")
    return kind(tp=tp or 1, pp=pp or 1, dp=ep or 1, ep=ep or 1)


def _limits(architecture: Architecture, given: dict[str, Any]) -> Iterator[Limit]:
    from ...calc.params import params
    from ...estimate.amounts import read_amount, read_compute
    from ...report.lint_report import Limit

    count = params(architecture)
    for flag, name, ours in (("max_params", "parameters", count.total), ("max_active", "active", count.active)):
        if given[flag] is not None:
            yield Limit(name, ours, int(read_amount(given[flag], flag, "8B")), "parameters")
    if given["max_memory"] is not None:
        yield _memory(architecture, given)
    if (given["budget"] is None) != (given["tokens"] is None):
        missing = "tokens" if given["tokens"] is None else "budget"
        raise InputError("--budget and --tokens go together", parameter=missing, hint="give both")
    if given["budget"] is not None:
        yield Limit("training", _training(architecture, given), int(read_compute(given["budget"], "budget")), "FLOPs")


def _memory(architecture: Architecture, given: dict[str, Any]) -> Limit:
    from ...api.memory import memory
    from ...calc.memory.fit import read_size
    from ...report.lint_report import Limit
    from ...report.workload import usual_seq

    length = given["seq"] if given["seq"] is not None else usual_seq(architecture)
    held = memory(architecture, batch=given["batch"], seq=length)
    return Limit("memory", held.peak, read_size(given["max_memory"], "max_memory"), "bytes")


def _training(architecture: Architecture, given: dict[str, Any]) -> int:
    """FLOPs of training on all tokens, by the exact count of a sequence."""
    from ...calc.flops import flops
    from ...estimate.amounts import read_amount
    from ...report.workload import usual_seq

    length = given["seq"] if given["seq"] is not None else usual_seq(architecture)
    tokens = int(read_amount(given["tokens"], "tokens"))
    counted = flops(architecture, seq=length, mode="train")
    return -(-counted.total * tokens // counted.tokens)


COMMAND = Command(
    "check",
    "Find suspicious shapes, and hold a model against limits.",
    (
        MODELS, SELECT, IGNORE, *RANKS, MAX_PARAMS, MAX_ACTIVE, MAX_MEMORY, BUDGET, TOKENS, BATCH, SEQ, *READING,
        *OUTPUT,
    ),
    run,
    "llmcalc check gpt2 --max-params 200M",
)  # fmt: skip
