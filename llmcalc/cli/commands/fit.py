"""``llmcalc fit MODEL --gpu NAME``: does it fit, and what is the most that does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from ..memory_options import TABLE, asked, is_given
from ..options import BATCH, MODEL, SEQ
from ..spec import Argument, Command, Option

if TYPE_CHECKING:
    from ...calc.memory.fit import Fit
    from ...core.architecture import Architecture
    from ...report.fit import Solution

TIMES = Argument("times", "How many accelerators, such as x8.", least=0)
GPU = Option(
    "--gpu", "gpu", "The accelerator, and how many: h100, h100:8, a100-80gb x4.", metavar="NAME[:N]",
    complete="accelerators",
)  # fmt: skip
GPU_MEMORY = Option(
    "--gpu-memory", "gpu_memory", "Its memory, in place of the vendor's figure, such as 79.6GiB.", metavar="SIZE"
)
RESERVE = Option(
    "--reserve", "reserve", "Memory that the runtime takes for itself on each: an assumption, such as 2GiB or 10%.",
    default="1GiB", metavar="SIZE",
)  # fmt: skip
SOLVE = Option(
    "--solve", "solve", "Answer the inverse: the largest context or batch, the best format, the fewest accelerators.",
    choices=("seq", "batch", "quant", "gpus"),
)  # fmt: skip
_TIMES = re.compile(r"[x×:]?\s*(\d{1,6})")
_NAMED = re.compile(r"(.+?)(?:(?::\s*|\s+)[x×]?|[x×])(\d{1,6})")
_COUNTED = re.compile(r"(\d{1,6})\s*[x×]\s*(.+)")
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
    """Compare, and print; exit code 1 if it does not fit."""
    from ...api import names as lookup
    from ...calc.memory.fit import read_size
    from ...report.fit import fit_document
    from ..output import chosen_format, write

    chosen = chosen_format(given["form"], given["as_json"])
    for option in (BATCH, SEQ):
        if option.name == solve and is_given(option, given):
            raise InputError(f"--solve {solve} finds it", parameter=option.name, hint="leave it out")
    architecture, words = asked(model, given)
    if gpu is None and gpu_memory is None:
        raise InputError("fit needs an accelerator", parameter="gpu", hint="such as --gpu h100 or --gpu-memory 24GiB")
    name, count = (gpu, None) if gpu is None or lookup.is_accelerator(gpu) else split(gpu)
    count = _count(count, times, words["mesh"].ranks, solve)
    accelerator = lookup.accelerator(name) if name else None
    vendors = accelerator.memory_bytes if accelerator else 0
    held = read_size(gpu_memory, "gpu_memory") if gpu_memory else vendors
    kept = read_size(reserve, "reserve", held)
    if kept >= held:
        raise InputError("the reserve takes all the memory", parameter="reserve", hint="give less")
    budget = {"memory_bytes": held, "reserve": kept, "count": count}
    fit, solution = answer(architecture, budget, words, solve)
    write(fit_document(architecture, accelerator, fit, reserve, solution, gpu_memory), chosen)
    return 0 if fit.fits and (solution is None or solution.value is not None) else NO


def split(gpu: str) -> tuple[str, int | None]:
    """``h100:8`` as a name and a number.

    >>> split("h100:8"), split("mi300xx4"), split("8x h200"), split("l4")
    (('h100', 8), ('mi300x', 4), ('h200', 8), ('l4', None))
    """
    if match := _COUNTED.fullmatch(gpu.strip()):
        return match[2], int(match[1])
    if match := _NAMED.fullmatch(gpu.strip()):
        return match[1], int(match[2])
    return gpu, None


def _count(named: int | None, times: str | None, ranks: int, solve: str | None) -> int:
    if times is not None:
        match = _TIMES.fullmatch(times.strip().lower())
        if not match:
            raise InputError(f"invalid GPU count {times!r}", where="fit", hint="use a count such as x8")
        if named is not None and named != int(match[1]):
            raise InputError(f"{named} and {match[1]} accelerators contradict each other", parameter="gpu")
        named = int(match[1])
    if named == 0:
        raise InputError("0 accelerators hold nothing", parameter="gpu", hint="give 1 or more")
    if solve == "gpus" and named is not None:
        raise InputError("--solve gpus finds the number of accelerators", parameter="gpu", hint="leave the number out")
    return named if named is not None else ranks


def answer(
    architecture: Architecture, budget: dict[str, Any], words: dict[str, Any], solve: str | None
) -> tuple[Fit, Solution | None]:
    """The fit as asked, or that of the largest, best or fewest, with what was found."""
    from ...api import fit as capacity
    from ...report.fit import Solution

    if solve is None:
        return capacity.fit(architecture, **budget, **words), None
    if solve in ("seq", "batch"):
        size = capacity.solve_size(solve, architecture, budget, words)
        shown = capacity.fit(architecture, **budget, **{**words, solve: size or 1})
        return shown, Solution(solve, size)
    if solve == "quant":
        if words["mode"] == "training" or words.get("weights"):
            hint = "leave --weights and --training out"
            raise InputError("the format of the weights is what is looked for", parameter="solve", hint=hint)
        tried = capacity.solve_quant(architecture, budget, words)
        best = next((one for one in tried if one.fit.fits), None)
        return (best or tried[-1]).fit, Solution(solve, best.name if best else None, tuple(tried))
    found = capacity.solve_gpus(architecture, budget, words)
    if found is None:
        return capacity.fit(architecture, **{**budget, "count": words["mesh"].ranks}, **words), Solution(solve, None)
    return found[1], Solution(solve, found[0])


COMMAND = Command(
    "fit",
    "Tell whether a model fits on accelerators, and the most that does.",
    (MODEL, TIMES, GPU, GPU_MEMORY, RESERVE, SOLVE, *TABLE),
    run,
    "llmcalc fit llama3-70b --gpu h100:4 --solve seq",
)
