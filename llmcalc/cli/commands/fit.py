"""The ``llmcalc fit`` command for checking whether a model fits on GPUs, or for finding a workload that fits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...api.fit import SOLVE
from ...core.errors import InputError
from ..memory_options import MEMORY, TABLE, settings
from ..options import MODEL, SIZES, load_model
from ..output import Answer, printed
from ..spec import Argument, Command, Option

if TYPE_CHECKING:
    from ...api.fit_changes import Change

TIMES = Argument("times", "GPUs such as h100:8 (same as --gpu), or their count such as x8.", least=0, metavar="GPUS")
SETTINGS = (
    Option("--gpu", "GPU name or memory, with an optional count: h100, 8xh100, 24GB:2.", "NAME[:N]",
           complete="accelerators", also=("count",)),
    Option("--gpu-memory", "Memory per GPU, such as 79.6GiB (overrides the specification).", "SIZE"),
    Option("--reserve", "Memory to reserve per GPU for the runtime, such as 2GiB, 10% or 0.", "SIZE", default="1GiB"),
    Option("--solve", "Solve for the largest context or batch, the best weight format, or the fewest GPUs.",
           choices=SOLVE),
)  # fmt: skip
_TIMES = re.compile(r"[x×:]?\s*(\d{1,6})")


@printed
def run(
    model: str,
    times: str | None,
    gpu: str | None,
    gpu_memory: str | None,
    reserve: str,
    solve: str | None,
    **given: Any,
) -> Answer:
    """Print the result of the fit check. The exit code is 1 if the model does not fit."""
    from ...api.fit import fit
    from ...report.fit import fit_document

    architecture = load_model(model, given)
    match = _TIMES.fullmatch(times.strip().lower()) if times is not None else None
    if times is not None and not match:
        if gpu is not None:
            raise InputError(f"invalid GPU count {times!r}", where="fit", hint="use a count such as x8")
        gpu = times
    count, rest = int(match[1]) if match else None, settings(given, (*SIZES, *MEMORY))
    budget: dict[str, Any] = {"gpu_memory": gpu_memory, "reserve": reserve}
    result = fit(architecture, gpu, count=count, solve=solve, **budget, **rest)
    solved = result.solution is None or result.solution.value is not None
    typed = {**given, **budget, "model": model, "gpu": f"{gpu}:{count}" if gpu and count else gpu}
    typed["times"] = times if gpu is None else None
    return fit_document(result, reserve, gpu_memory, lambda change: _line(typed, change)), result.fits and solved


def _line(typed: dict[str, Any], change: Change) -> str:
    """Return the command line with the changed settings."""
    settings = dict(change.settings)
    count, mesh = settings.pop("count", None), settings.pop("mesh", None)
    if count:
        settings |= {"gpu": f"{settings['gpu']}:{count}", "times": None}
    return COMMANDS[0].line({**typed, **settings, **({"dp": mesh.dp} if mesh else {})})


COMMANDS = (Command("fit", (MODEL, TIMES, *SETTINGS, *TABLE), run),)
