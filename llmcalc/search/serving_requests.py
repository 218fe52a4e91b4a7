"""Search for the most requests that one layout serves within limits on their times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, floor
from typing import Any

from ..calc.sharding import Mesh
from ..core.record import changed
from ..serving.calibration import Deployment
from ..serving.money import Terms
from ..serving.points import Point, excess
from ..serving.replicas import Replica
from .layouts import LayoutSearch, Times
from .serving_search import Layout, ServingSearch, layout_at

MOST_BETWEEN = 512  # numbers of requests that are tried between two others


def search_requests(
    search: LayoutSearch, mesh: Mesh, limits: Mapping[str, float], terms: Terms, measured: Deployment | None
) -> ServingSearch:
    """Return the largest number of requests on a layout within the limits, or the number that comes closest to them.

    The GPUs of the search are those of the layout.

    Raises:
        InputError: if the model does not allow the layout or the formats.
    """
    replica = search.read(mesh, search.formats[0])
    is_short = search.longest is None or search.requests.longest <= search.longest
    is_stored = replica.free is None or replica.free > 0
    times = search.together(replica) if is_short and is_stored else None
    one = times and _most(times, search, replica, limits, measured)
    safe = None
    if times and one and one.keeps_limits:
        tight = {name: most * getattr(one, f"{name}_s") / getattr(one, name).high for name, most in limits.items()}
        found = _most(times, search, replica, tight, measured)
        safe = found if found and found.keeps_limits else None

    def retry(change: Mapping[str, Any]) -> ServingSearch:
        formats = tuple({**own, **{name: change[name] for name in own if name in change}} for own in search.formats)
        is_other = "weights" in change
        own = changed(
            search, formats=formats, only=change.get("concurrency", search.only),
            factors=None if is_other else search.factors,
        )  # fmt: skip
        return search_requests(own, mesh, limits, terms, None if is_other else measured)

    return ServingSearch(
        search.architecture.name, search.card, search.count, search.engine, search.requests, limits,
        (one,) if one else (), terms, search.architecture, search.longest, search.only, search.formats[0], retry,
        replica.drafting, safe, search.notes, is_fixed=True, length_flag=search.length_flag,
    )  # fmt: skip


def _most(
    times: Times,
    search: LayoutSearch,
    replica: Replica,
    limits: Mapping[str, float],
    measured: Deployment | None,
) -> Layout | None:
    """Return the largest number of requests within the limits, or the closest one, or None if none runs."""

    def is_kept(point: Point) -> bool:
        return point.runs and excess(point, limits) <= 1

    running = [point for point in times.points if point.runs]
    if not running:
        return None
    kept = [point for point in running if is_kept(point)]
    if not kept:
        best = min(running, key=lambda point: excess(point, limits))
        return layout_at(times.placement, best, search, measured, is_kept=False)
    best = max(kept, key=lambda point: point.concurrency)
    if search.only is None:
        best = _between(best, times, lambda numbers: search.together(replica, numbers), is_kept)
    return layout_at(times.placement, best, search, measured)


def _between(best: Point, times: Times, ask: Callable[[list[float]], Times], is_kept: Callable[[Point], bool]) -> Point:
    """Return the largest whole number of requests that is kept, up to the next one that was tried."""
    above = min((one.concurrency for one in times.points if one.concurrency > best.concurrency), default=0.0)
    first, last = floor(best.concurrency) + 1, ceil(above) - 1
    step = max((last - first) // MOST_BETWEEN, 1)
    numbers = [float(number) for number in range(first, last + 1, step)]
    found = [point for point in ask(numbers).points if is_kept(point)] if numbers else []
    return max([best, *found], key=lambda point: point.concurrency)
