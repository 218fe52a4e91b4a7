"""The ``llmcalc fit`` command for checking whether a model fits on GPUs, or for finding a workload that fits."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from ...api.fit import SOLVE, FitResult
from ...core.errors import InputError
from ..memory_options import MEMORY, TABLE, settings
from ..options import MODEL, SIZES, load_model
from ..output import Answer, printed
from ..spec import Argument, Command, Option

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
    changes = [] if solve or result.fits else _changes(architecture, gpu, count, result, {**budget, **rest})
    return fit_document(result, reserve, gpu_memory, changes), result.fits and solved


def _changes(
    architecture: Any, gpu: str | None, count: int | None, result: FitResult, settings: dict[str, Any]
) -> list[FitResult]:
    """Return fit checks that succeed with one changed setting: the format, a size or the number of GPUs."""
    from ...api.fit import fit

    card = result.accelerator.name if result.accelerator else gpu
    unquantised = {name: value for name, value in settings.items() if name != "weights"}
    tries: list[tuple[str, str | None, int | None, dict[str, Any]]] = [
        ("quant", gpu, count, unquantised),
        *((name, gpu, count, {**settings, name: None}) for name in ("batch", "seq") if (settings.get(name) or 1) > 1),
        ("gpus", card, None, settings),
    ]
    found = []
    for asked, on, number, rest in tries:
        with suppress(InputError):  # a setting that cannot be solved for, such as the format in training
            kept = {name: value for name, value in rest.items() if name != asked}
            found.append(fit(architecture, on, count=number, solve=asked, **kept))
    return [one for one in found if one.fits and one.solution and one.solution.value is not None]


COMMANDS = (Command("fit", (MODEL, TIMES, *SETTINGS, *TABLE), run),)
