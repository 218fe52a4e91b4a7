"""Search for the layout with which a serving engine serves the most requests within limits on their times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from ..core.evidence import FITTED
from ..core.record import record
from ..fitting.advice import Change, tried
from ..serving.formats import format_choices
from ..serving.point import Placement, Point, point_at
from ..serving.points import LoadTimes, alone, excess, fastest
from ..serving.stated import stated
from .result import SpaceResult
from .serving_changes import serving_changes
from .space import Space, Times

SHOWN = 8  # layouts
ABOVE = 1 + 1e-9  # more than rounding


@record
class ServingSearch(SpaceResult):
    """Layouts with which a serving engine meets limits on times, those with the most tokens per second first.

    Attributes:
        layouts: points on the layouts that meet the limits. If there are none, those that come closest.
        retry: function that searches with other GPUs, formats or requests.
        with_margin: point with the most tokens per second whose intervals are within the limits, or None.
        is_fixed: whether the layout is given, so that only the number of requests is searched.
    """

    layouts: tuple[Point, ...]
    retry: Callable[[Mapping[str, Any]], ServingSearch]
    with_margin: Point | None = None
    is_fixed: bool = False

    EVIDENCE: ClassVar[Mapping[str, str]] = {"layouts": FITTED}

    @property
    def concurrency(self) -> float | None:
        """Number of requests on all GPUs, or None if it was chosen."""
        return self.space.only

    @property
    def formats(self) -> Mapping[str, str | None]:
        """Number formats by setting."""
        return self.space.formats[0]

    @property
    def is_found(self) -> bool:
        """Whether a layout meets the limits."""
        return bool(self.layouts and self.layouts[0].keeps_limits)

    @property
    def has_margin(self) -> bool:
        """Whether the intervals of the times of the first layout are within the limits."""
        return self.is_found and all(getattr(self.layouts[0], name).high <= most for name, most in self.limits.items())

    @cached_property
    def faster_formats(self) -> tuple[dict[str, Any], ServingSearch] | None:
        """Formats that ``serving_front`` tries too, and their result if it has more tokens per second, or None."""
        *_, last = format_choices(self.architecture, self.accelerator, self.formats, self.engine)
        change = {name: text for name, text in last.items() if text != self.formats[name]}
        if not self.is_found or not change:
            return None
        own = self.layouts[0].tokens_per_s_gpu
        found = tried(change, lambda settings: Change(settings, self.retry(settings)),
                      lambda one: one.is_found and one.layouts[0].tokens_per_s_gpu > own)  # fmt: skip
        return (stated(self.service, change), found.result) if found else None

    @cached_property
    def changes(self) -> tuple[tuple[dict[str, Any], ServingSearch], ...]:
        """Changed settings that meet the limits, with their results. Empty if the limits are met already."""
        if self.is_found or self.too_long:
            return ()
        return tuple((stated(self.service, change), found) for change, found in serving_changes(self))

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        return {
            "changes": [{"settings": change, "layout": one.layouts[0].to_dict()} for change, one in self.changes],
            "engine": self.engine, "gpus": self.gpus, "limits": dict(self.limits), "is_found": self.is_found,
            "has_margin": self.has_margin, "layouts": [one.to_dict() for one in self.layouts],
            "evidence": self.evidence,
        }  # fmt: skip


def search_layouts(space: Space, retry: Callable[[Mapping[str, Any]], ServingSearch]) -> ServingSearch:
    """Return the layouts that meet the limits. ``retry`` searches with other settings."""
    limits, best, safe = space.limits, dict[Any, Point](), list[Point]()
    for times in space.times():
        found = fastest(times.points, limits, space.fewest)
        kind = (times.placement.replica.mesh, times.placement.prefill is None, *times.placement.formats.items())
        if found is not None and not _is_beaten(found, times.placement, space, best.get(kind), safe):
            one = point_at(times.placement, found[0], space.service, is_kept=found[1])
            best[kind] = min(best.get(kind, one), one, key=lambda own: _rank(own, limits))
            safe = [*safe, *_within_interval(one, times, space)]
            safe = [min(safe, key=lambda own: _rank(own, limits))] if safe else []
    ordered = sorted(best.values(), key=lambda one: _rank(one, limits))
    kept = [one for one in ordered if one.keeps_limits] or ordered
    return ServingSearch(space, space.single.drafting, space.notes, tuple(kept[:SHOWN]), retry, next(iter(safe), None))


def _rank(one: Point, limits: Mapping[str, float]) -> tuple[bool, float]:
    """Return a key that orders layouts by their tokens per second at the slow end of the interval.

    Layouts that do not meet the limits are ordered by their excess.
    """
    return (False, -one.tokens_per_s_gpu_range[0]) if one.keeps_limits else (True, excess(one.times, limits))


def _is_beaten(
    found: tuple[LoadTimes, bool], placement: Placement, space: Space, known: Point | None, safe: Sequence[Point]
) -> bool:
    """Return whether a known layout of the same replicas, and one within its intervals, are ahead for sure.

    Their intervals have the same width, unless drafted tokens widen them.
    """
    (times, is_kept), limits = found, space.limits
    if known is None or placement.replica.drafting:
        return False
    if not is_kept:
        return known.keeps_limits or excess(times, limits) >= excess(known.times, limits)
    most = ABOVE * times.requests_per_s * space.requests.mean("osl") / placement.gpus
    is_behind = known.keeps_limits and known.tokens_per_s_gpu > most
    return is_behind and any(one.tokens_per_s_gpu_range[0] > most / known.width for one in safe)


def _within_interval(one: Point, times: Times, space: Space) -> list[Point]:
    """Return the number of requests with the most tokens per second whose intervals are within the limits, if any."""
    if not one.keeps_limits:
        return []
    found = fastest(alone(times.points), one.tight(space.limits), space.fewest)
    return [point_at(times.placement, found[0], space.service)] if found and found[1] else []
