"""Search for the largest batch or context, or the fewest GPUs, with which a model fits."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ..calc.memory.fit import LARGEST, Fit, largest_fitting, largest_within, smallest_fitting
from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.description.compiled import CompiledFunction
from ..core.errors import SizeError
from ..core.record import changed
from ..core.workload import positions
from ..estimate.hardware import NODE
from .check import check_fit, layout_of
from .memory import serving_stages

MOST_GPUS, MOST_SERVING_GPUS = 2**14, 128
MOST_CHECKED = 10  # sizes that are checked before tracing takes less time


def solve_size(
    name: str, architecture: Architecture, budget: dict[str, Any], arguments: dict[str, Any]
) -> tuple[int | None, Fit]:
    """Return the largest ``seq`` or ``batch`` that fits, or None if a size of 1 does not fit, and the fit check.

    If no layout is given, it is the largest one with any layout.
    """
    first = check_part(architecture, budget, {**arguments, name: 1})
    if not first.fits:
        return None, first
    is_bounded = name == "seq" and not arguments.get("extend")
    limit = (positions(architecture) if is_bounded else None) or LARGEST
    if arguments.get("mode") == "training" or first.count == 1 or arguments.get("layout"):
        return _solve_on(name, architecture, budget, arguments, limit)
    size, found = 1, first
    while True:
        size, best = _solve_on(name, architecture, budget, {**arguments, "layout": layout_of(found)}, limit, size)
        if size == limit:
            return size, best
        found = check_part(architecture, budget, {**arguments, name: size + 1}, is_trial=True)
        if not _runs(found):
            return size, best
        size += 1


def _solve_on(
    name: str, architecture: Architecture, budget: dict[str, Any], arguments: dict[str, Any], limit: int, start: int = 1
) -> tuple[int, Fit]:
    """Return the largest size that fits on one layout, and the fit check. A size of ``start`` fits.

    Memory increases with either size, so bisection finds the exact maximum. Memory is almost linear in the batch, so
    that few steps along the secant suffice. Most lengths are checked by a compiled form.
    """
    found = dict[int, Fit]()

    def computed(size: int, model: Architecture) -> Fit:
        return check_fit(model, **budget, **{**arguments, name: size}, is_trial=True)

    def check(size: int) -> Fit:
        if size not in found:
            found[size] = computed(size, architecture)
        return found[size]

    form = CompiledFunction(lambda size: computed(size, changed(architecture)).needed, {"size": 1})

    def fits(size: int) -> bool:
        if size in found or len(found) < MOST_CHECKED:
            return check(size).fits
        return bool(form(size=size) <= check(start).usable)

    if name == "batch":
        size = largest_within(lambda size: check(size).needed, check(start).usable, limit, start)
    else:
        size = largest_fitting(fits, limit, start) or start
    return size, check(size)


def solve_gpus(architecture: Architecture, budget: dict[str, Any], arguments: dict[str, Any]) -> tuple[int, Fit] | None:
    """Return the minimum number of GPUs and the fit check for this number, or None if the model never fits.

    In training, only the number of data-parallel ranks varies, and with a serving mesh, only the number of replicas. In
    serving without a mesh, each number of GPUs uses its best layout.
    """
    mesh = arguments.get("mesh")
    given = mesh or Mesh(zero=3)
    rest = {name: value for name, value in arguments.items() if name != "mesh"}
    per_gpu = {name: value for name, value in budget.items() if name != "count"}
    if mesh is None and arguments.get("mode") != "training":
        return _first_serving(architecture, per_gpu, rest, max(MOST_SERVING_GPUS, 2 * budget.get("node", NODE)))

    def fit_on(count: int) -> Fit:
        if rest.get("mode") != "training":
            return check_fit(architecture, **per_gpu, count=given.ranks * count, mesh=given, **rest)
        own = changed(given, dp=given.dp * count)
        return check_fit(architecture, **per_gpu, count=own.ranks, mesh=own, **rest)

    count = smallest_fitting(lambda count: fit_on(count).headroom, MOST_GPUS)
    if count is None:
        return None
    found = fit_on(count)
    return found.count, found


def check_part(
    architecture: Architecture, budget: dict[str, Any], arguments: dict[str, Any], *, is_trial: bool = False
) -> Fit:
    """Check whether a model fits on GPUs of which some may stay unused, so that it fits on more wherever on fewer."""
    found = check_fit(architecture, **budget, **arguments, is_trial=is_trial)
    is_given = arguments.get("layout") or arguments.get("mesh") is not None
    if is_given or arguments.get("mode") == "training" or _runs(found):
        return found
    rest = {name: value for name, value in arguments.items() if name != "mesh"}
    fewer = _first_serving(architecture, budget, rest, min(found.count - 1, MOST_SERVING_GPUS))
    return check_fit(architecture, **budget, layout=layout_of(fewer[1], found.count), **rest) if fewer else found


def _first_serving(
    architecture: Architecture, budget: dict[str, Any], rest: dict[str, Any], most: int
) -> tuple[int, Fit] | None:
    """Return the smallest number of GPUs, at most this one, of which all are used by a layout that fits."""
    (whole,) = serving_stages(architecture, **{name: value for name, value in rest.items() if name != "mode"})
    least = (whole.weights + whole.state) // (budget["memory_bytes"] - budget["reserve"] + whole.host)
    for count in range(max(least, 1), most + 1):
        with suppress(SizeError):  # no layout of this number of GPUs
            tried = check_fit(architecture, **{**budget, "count": count}, is_trial=True, **rest)
            if _runs(tried):
                return count, tried
    return None


def _runs(found: Fit) -> bool:
    """Return whether a model fits, and kernels accept its layout."""
    return found.fits and not found.result.refusals
