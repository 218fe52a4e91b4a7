"""Pareto front of serving: the most tokens per second of a GPU at each speed of a request, over all layouts."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from ..core.amount import group_by
from ..core.record import record
from ..serving.point import Placement, Point, point_at
from ..serving.points import LoadTimes, excess, unbeaten
from .result import SpaceResult
from .space import Space, Times

GAIN = 1.03  # in tokens per second, of a point over the next faster one


@record
class ServingFront(SpaceResult):
    """Layouts and numbers of requests with the most tokens per second of a GPU at each speed of a request.

    Attributes:
        points: operating points, those with the fastest requests first.
        fronts: fronts of groups of layouts by title, such as ``weights fp8``, as pairs of tokens per second of a
            request and of a GPU.
        tried: number of layouts and formats that were evaluated.
        closest: point that comes closest to the limits if none meets them, or None.
    """

    points: tuple[Point, ...]
    fronts: Mapping[str, tuple[tuple[float, float], ...]]
    tried: int
    closest: Point | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        return {
            "engine": self.engine, "gpus": self.gpus, "limits": dict(self.limits), "tried": self.tried,
            "points": [one.to_dict() for one in self.points],
            "fronts": {name: [list(pair) for pair in pairs] for name, pairs in self.fronts.items()},
            "evidence": self.evidence,
        }  # fmt: skip


def find_front(space: Space) -> ServingFront:
    """Return the front of all layouts."""
    return _front_of(space, [*space.times()])


def front_steps(space: Space) -> Generator[int, None, ServingFront]:
    """Return the front of all layouts. Yield the number of layouts tried so far between pieces of work."""
    tried = list[Times]()
    for times in space.steps():
        tried += [times] if times else []
        yield len(tried)
    return _front_of(space, tried)


def _front_of(space: Space, tried: list[Times]) -> ServingFront:
    osl, limits = space.requests.mean("osl"), space.limits
    chosen = list(_front(tried, limits, osl))
    fronts = {
        name: tuple(pair for *_, pair in _front(own, limits, osl)) for name, own in group_by(tried, _group).items()
    }
    return ServingFront(
        space, space.single.drafting, space.notes,
        tuple(point_at(placement, times, space.service) for placement, times, _ in chosen),
        {name: pairs for name, pairs in fronts.items() if pairs}, len(tried),
        None if chosen or not limits else space.best(tried, lambda one: excess(one, limits), is_kept=False),
    )  # fmt: skip


def _group(times: Times) -> str:
    """Return the title of the group of a layout: its formats, and whether it has two pools."""
    formats = " ".join(f"{name} {own}" for name, own in times.placement.replica.formats.items() if own)
    return ", ".join(filter(None, (formats or "as published", "two pools" if times.placement.prefill else "")))


def _front(
    tried: list[Times], limits: Mapping[str, float], osl: float
) -> Iterator[tuple[Placement, LoadTimes, tuple[float, float]]]:
    """Yield the points of the front, those with the fastest requests first.

    Each has the tokens per second of a request and of a GPU.
    """
    found = [
        (point.tpot_s, -point.requests_per_s * osl / gpus, at, point)
        for at, (gpus, points) in enumerate((times.placement.gpus, times.points) for times in tried)
        for point in unbeaten(points, limits)
    ]
    best, highest = 0.0, -min((rate for _, rate, *_ in found), default=0.0)
    for tpot_s, rate, at, point in sorted(found):
        if -rate > best * GAIN or -rate == highest > best:
            best = -rate
            yield tried[at].placement, point, (1 / tpot_s, -rate)
