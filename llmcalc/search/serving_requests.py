"""Search for the most requests that one layout serves within limits on their times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, floor
from typing import Any

from ..calc.sharding import Mesh
from ..serving.point import Point, point_at
from ..serving.points import LoadTimes, excess
from ..serving.replicas import Replica
from .serving_search import ServingSearch
from .space import Space, Times

MOST_BETWEEN = 512  # numbers of requests that are tried between two others


def search_requests(space: Space, mesh: Mesh, retry: Callable[[Mapping[str, Any]], ServingSearch]) -> ServingSearch:
    """Return the largest number of requests on a layout within the limits, or the number that comes closest to them.

    The GPUs of the space are those of the layout. ``retry`` searches with other settings.

    Raises:
        InputError: if the model does not allow the layout or the formats.
    """
    limits, replica = space.limits, space.read(mesh, space.formats[0])
    times = space.together(replica) if not space.service.too_long and replica.starts else None
    one, safe = times and _most(times, space, replica, limits), None
    if times and one and one.keeps_limits:
        found = _most(times, space, replica, one.tight(limits))
        safe = found if found and found.keeps_limits else None
    return ServingSearch(
        space, replica.drafting, space.notes, (one,) if one else (),
        retry, safe, is_fixed=True,
    )  # fmt: skip


def _most(times: Times, space: Space, replica: Replica, limits: Mapping[str, float]) -> Point | None:
    """Return the largest number of requests within the limits, or the closest one, or None if none runs."""

    def is_kept(point: LoadTimes) -> bool:
        return point.runs and excess(point, limits) <= 1

    kept = [point for point in times.points if is_kept(point)]
    if not kept:
        return space.best([times], lambda point: excess(point, limits), is_kept=False)
    best = max(kept, key=lambda point: point.concurrency)
    if space.only is None:
        best = _between(best, times, lambda numbers: space.together(replica, numbers), is_kept)
    return point_at(times.placement, best, space.service)


def _between(
    best: LoadTimes, times: Times, ask: Callable[[list[float]], Times], is_kept: Callable[[LoadTimes], bool]
) -> LoadTimes:
    """Return the largest whole number of requests that is kept, up to the next one that was tried."""
    above = min((one.concurrency for one in times.points if one.concurrency > best.concurrency), default=0.0)
    first, last = floor(best.concurrency) + 1, ceil(above) - 1
    step = max((last - first) // MOST_BETWEEN, 1)
    numbers = [float(number) for number in range(first, last + 1, step)]
    found = [point for point in ask(numbers).points if is_kept(point)] if numbers else []
    return max([best, *found], key=lambda point: point.concurrency)
