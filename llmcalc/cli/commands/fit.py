"""``llmcalc fit MODEL --gpu NAME``: does it fit, and what is the largest or best that does."""

from __future__ import annotations

import re
from typing import Any

from ..memory_options import MEMORY, TABLE, settings
from ..options import MODEL, SIZES, reading
from ..spec import Argument, Command, Option

TIMES = Argument("times", "GPU count, such as x8.", least=0)
GPU = Option(
    "--gpu", "gpu", "GPU and count, such as h100, h100:8 or 'a100-80gb x4'.", metavar="NAME[:N]",
    complete="accelerators", also=("count",),
)  # fmt: skip
GPU_MEMORY = Option(
    "--gpu-memory", "gpu_memory", "Memory of one GPU in place of the specification, such as 79.6GiB.", metavar="SIZE"
)
RESERVE = Option(
    "--reserve", "reserve", "Memory to reserve per GPU for the runtime, such as 2GiB or 10%.", default="1GiB",
    metavar="SIZE",
)  # fmt: skip
SOLVE = Option(
    "--solve", "solve", "Solve for the largest context or batch, the best weight format, or the fewest GPUs.",
    choices=("seq", "batch", "quant", "gpus"),
)  # fmt: skip
_TIMES = re.compile(r"[x×:]?\s*(\d{1,6})")
NO = 1


def run(
    model: str,
    times: str | None,
    gpu: str | None,
    gpu_memory: str | None,
    reserve: str,
    solve: str | None,
    **given: Any,
) -> int:
    """Exit code 1 if the model does not fit."""
    from ...api.fit import fit
    from ...api.load import load
    from ...report.fit import fit_document
    from ..output import chosen_format, write

    chosen = chosen_format(given["form"], given["as_json"])
    found = fit(
        load(model, **reading(given)), gpu, count=None if times is None else _count(times), gpu_memory=gpu_memory,
        reserve=reserve, solve=solve, **settings(given, (*SIZES, *MEMORY)),
    )  # fmt: skip
    write(fit_document(found, reserve, gpu_memory), chosen)
    return 0 if found.fits and (found.solution is None or found.solution.value is not None) else NO


def _count(times: str) -> int:
    from ...core.errors import InputError

    match = _TIMES.fullmatch(times.strip().lower())
    if not match:
        raise InputError(f"invalid GPU count {times!r}", where="fit", hint="use a count such as x8")
    return int(match[1])


COMMANDS = (
    Command(
        "fit",
        (MODEL, TIMES, GPU, GPU_MEMORY, RESERVE, SOLVE, *TABLE),
        run,
        "llmcalc fit llama3-70b --gpu h100:4 --solve seq",
    ),
)
