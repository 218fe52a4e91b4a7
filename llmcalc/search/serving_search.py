"""Search for the layout with which a serving engine serves the most requests within limits on their times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from ..calc.sharding import Mesh
from ..core.evidence import FITTED
from ..core.interval import Interval
from ..core.record import record
from ..estimate.prices import Price
from ..serving.formats import format_choices
from ..serving.money import Money, Terms, token_prices
from ..serving.point import time_intervals, unmeasured_part, with_acceptance
from ..serving.points import Point, alone, excess, fastest
from ..serving.replicas import SIZES
from ..serving.service import Service
from ..serving.speculation import Drafting
from .result import SpaceResult
from .serving_changes import serving_changes
from .space import Placement, Space, Times

SHOWN = 8  # layouts
ABOVE = 1 + 1e-9  # more than rounding


@record
class PrefillPool:
    """Replicas that compute prefills alone.

    Attributes:
        mesh: layout of a replica.
        replicas: number of replicas.
        busy: share of the time in which they compute.
        wait_s: time that a prompt waits for the prefills of others.
        transfer_s: time to send the keys and values of a prompt to the replicas that decode.
    """

    mesh: Mesh
    replicas: int
    busy: float
    wait_s: float
    transfer_s: float

    @property
    def settings(self) -> dict[str, int]:
        """Sizes of the layout that differ from 1."""
        return sizes_of(self.mesh)


@record
class Layout:
    """A layout with a number of requests, and their times.

    Attributes:
        mesh: layout of a replica.
        replicas: number of replicas.
        concurrency: number of requests at any time, over all replicas.
        tpot_s: time per output token.
        ttft_s: time to the first token.
        tpot: interval of the time per output token.
        ttft: interval of the time to the first token.
        tokens_per_s_gpu: output tokens per second of one GPU.
        keeps_limits: whether the times are within the limits.
        formats: number formats by setting, where they are not those of the checkpoint or of 16 bits.
        requests_per_s: requests per second of all GPUs.
        gpus: number of GPUs.
        prefill_share: share of the GPUs' time that prefills take.
        decode_power: power of a GPU in decode steps, as a share of its rated power.
        prefill: pool of GPUs that compute prefills alone, or None if all replicas compute them.
        commands: command lines of the engine by role: ``serve``, or ``prefill`` and ``decode``.
        processes: how many times each of them is started, on other GPUs, by role.
    """

    mesh: Mesh
    replicas: int
    concurrency: float
    tpot_s: float
    ttft_s: float
    tpot: Interval
    ttft: Interval
    tokens_per_s_gpu: float
    keeps_limits: bool
    formats: Mapping[str, str]
    requests_per_s: float
    gpus: int
    prefill_share: float
    decode_power: float
    prefill: PrefillPool | None
    commands: Mapping[str, str]
    processes: Mapping[str, int]

    @property
    def settings(self) -> dict[str, int]:
        """Sizes of the layout that differ from 1."""
        return sizes_of(self.mesh)

    @property
    def e2e_s(self) -> float:
        """Mean time of a whole request, by Little's law."""
        return self.concurrency / self.requests_per_s

    @property
    def e2e(self) -> Interval:
        """Interval of the time of a whole request, from those of its first token and of the others."""
        rest = self.e2e_s - self.ttft_s
        low, high = (getattr(self.ttft, end) + rest * getattr(self.tpot, end) / self.tpot_s for end in ("low", "high"))
        return Interval(low, self.e2e_s, high, self.tpot.reasons)

    @property
    def tokens_per_s_user(self) -> float:
        """Output tokens per second of one request."""
        return 1 / self.tpot_s

    @property
    def width(self) -> float:
        """Ratio of an end of the interval to the estimate, of the time per output token."""
        return float(self.tpot.high / self.tpot_s)

    @property
    def tokens_per_s_gpu_range(self) -> tuple[float, float]:
        """Ends of the interval of the output tokens per second of one GPU. Layouts are ordered by the low end."""
        return self.tokens_per_s_gpu / self.width, self.tokens_per_s_gpu * self.width

    def usd_per_million_output(self, price: Price | None) -> tuple[float, float] | None:
        """Return the lowest and highest price of a million output tokens, with all cost charged to the output."""
        return token_prices(price, self.tokens_per_s_gpu, self.width)

    def money(self, terms: Terms, isl: float, osl: float) -> Money:
        """Return the price and the energy of the tokens of requests with these lengths."""
        power = terms.power(self.decode_power, self.prefill.busy if self.prefill else 1.0)
        return Money(
            self.gpus, isl, osl, self.requests_per_s, self.prefill_share, self.width, terms.price, power, terms.api
        )

    def to_dict(self, terms: Terms, isl: float, osl: float) -> dict[str, Any]:
        """Return the layout as a plain dictionary, with its price and energy."""
        pool = self.prefill
        names = ("tokens_per_s_gpu", "tokens_per_s_user", "requests_per_s", "keeps_limits")
        return {
            **{name: getattr(self.mesh, name) for name in SIZES}, "replicas": self.replicas,
            "gpus": self.gpus, **{name: self.formats.get(name) for name in ("weights", "cache")},
            "prefill": pool and {
                **{name: getattr(pool.mesh, name) for name in ("tp", "dp", "ep")}, "replicas": pool.replicas,
                "busy": pool.busy, "wait_s": pool.wait_s, "transfer_s": pool.transfer_s,
            },
            "concurrency": self.concurrency,
            **{f"{name}{end}_s": value for name in ("tpot", "ttft", "e2e") for end, value in (
                ("", getattr(self, f"{name}_s")), ("_low", float(getattr(self, name).low)),
                ("_high", float(getattr(self, name).high)))},
            **{name: getattr(self, name) for name in names},
            "usd_per_million_output": self.usd_per_million_output(terms.price),
            "money": self.money(terms, isl, osl).to_dict(), "commands": dict(self.commands),
            "processes": dict(self.processes),
        }  # fmt: skip


@record
class ServingSearch(SpaceResult):
    """Layouts with which a serving engine meets limits on times, those with the most tokens per second first.

    Attributes:
        space: the service, and what was searched.
        layouts: layouts that meet the limits. If there are none, those that come closest.
        retry: function that searches with other GPUs, formats or requests.
        drafting: speculative decoding, or None.
        with_margin: layout with the most tokens per second whose intervals are within the limits, or None.
        notes: assumptions.
        is_fixed: whether the layout is given, so that only the number of requests is searched.
    """

    space: Space
    layouts: tuple[Layout, ...]
    retry: Callable[[Mapping[str, Any]], ServingSearch]
    drafting: Drafting | None = None
    with_margin: Layout | None = None
    notes: tuple[str, ...] = ()
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
        found = self.retry(change)
        best, own = (one.layouts[0].tokens_per_s_gpu if one.is_found else 0.0 for one in (found, self))
        return (change, found) if best > own else None

    @cached_property
    def changes(self) -> tuple[tuple[dict[str, Any], ServingSearch], ...]:
        """Changed settings that meet the limits, with their results. Empty if the limits are met already."""
        return () if self.is_found or self.is_too_long else tuple(serving_changes(self))

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        changes = [
            {"settings": change, "layout": one.layouts[0].to_dict(one.terms, self.isl, self.osl)}
            for change, one in self.changes
        ]
        return {
            "changes": changes,
            "engine": self.engine, "gpus": self.gpus, "limits": dict(self.limits), "is_found": self.is_found,
            "has_margin": self.has_margin,
            "layouts": [one.to_dict(self.terms, self.isl, self.osl) for one in self.layouts], "evidence": self.evidence,
        }  # fmt: skip


def search_layouts(space: Space) -> ServingSearch:
    """Return the layouts that meet the limits."""
    limits, best, safe = space.limits, dict[Any, Layout](), list[Layout]()
    for times in space.times():
        found = fastest(times.points, limits, space.fewest)
        kind = (times.placement.replica.mesh, times.placement.prefill is None, *times.placement.formats.items())
        if found is not None and not _is_beaten(found, times.placement, space, best.get(kind), safe):
            one = layout_at(times.placement, found[0], space.service, is_kept=found[1])
            best[kind] = min(best.get(kind, one), one, key=lambda own: _rank(own, limits))
            safe = [*safe, *_within_interval(one, times, space)]
            safe = [min(safe, key=lambda own: _rank(own, limits))] if safe else []
    ordered = sorted(best.values(), key=lambda one: _rank(one, limits))
    kept = [one for one in ordered if one.keeps_limits] or ordered
    return ServingSearch(
        space, tuple(kept[:SHOWN]), lambda change: search_layouts(space.with_change(change)), space.single.drafting,
        next(iter(safe), None), space.notes,
    )  # fmt: skip


def _rank(one: Layout, limits: Mapping[str, float]) -> tuple[bool, float]:
    """Return a key that orders layouts by their tokens per second at the slow end of the interval.

    Layouts that do not meet the limits are ordered by their excess.
    """
    return (False, -one.tokens_per_s_gpu_range[0]) if one.keeps_limits else (True, excess(one, limits))


def _is_beaten(
    found: tuple[Point, bool], placement: Placement, space: Space, known: Layout | None, safe: Sequence[Layout]
) -> bool:
    """Return whether a known layout of the same replicas, and one within its intervals, are ahead for sure.

    Their intervals have the same width, unless drafted tokens widen them.
    """
    (point, is_kept), limits = found, space.limits
    if known is None or placement.replica.drafting:
        return False
    if not is_kept:
        return known.keeps_limits or excess(point, limits) >= excess(known, limits)
    most = ABOVE * point.requests_per_s * space.requests.mean("osl") / placement.gpus
    is_behind = known.keeps_limits and known.tokens_per_s_gpu > most
    return is_behind and any(one.tokens_per_s_gpu_range[0] > most / known.width for one in safe)


def _within_interval(one: Layout, times: Times, space: Space) -> list[Layout]:
    """Return the number of requests with the most tokens per second whose intervals are within the limits, if any.

    The ends of an interval have the same ratio to the time at every number of requests.
    """
    if not one.keeps_limits:
        return []
    tight = {name: most * getattr(one, f"{name}_s") / getattr(one, name).high for name, most in space.limits.items()}
    found = fastest(alone(times.points), tight, space.fewest)
    return [layout_at(times.placement, found[0], space.service)] if found and found[1] else []


def layout_at(placement: Placement, point: Point, service: Service, *, is_kept: bool = True) -> Layout:
    """Return a layout of a service with a number of requests."""
    replica, first, requests = placement.replica, placement.prefill, service.requests
    unmeasured = unmeasured_part(replica, is_pool=first is not None)
    tpot, ttft = time_intervals(replica.steps, point, service.measured, unmeasured)
    if replica.drafting and replica.drafting.accepted_range:
        rest = point.tpot_s - point.step_s / replica.drafting.accepted  # that prefills of other requests add
        slow, fast = (rest + point.step_s / accepted for accepted in replica.drafting.accepted_range)
        tpot = with_acceptance(tpot, point.tpot_s, slow, fast)
    sizes = requests.longest, point.batch, service.chunk
    count = placement.replicas
    if first is None:
        is_joined = replica.takes_replicas
        roles, pool = {"serve": replica.command(*sizes, replicas=count if is_joined else 1)}, None
        processes = {"serve": 1 if is_joined else count}
    else:
        processes = {"prefill": placement.prefill_replicas, "decode": count}
        roles = {"prefill": first.command(requests.longest, 1, service.chunk, "prefill"),
                 "decode": replica.command(*sizes, "decode")}  # fmt: skip
        pool = PrefillPool(first.mesh, placement.prefill_replicas, point.busy, point.wait_s, point.transfer_s)
    return Layout(
        replica.mesh, placement.replicas, point.concurrency, point.tpot_s, point.ttft_s, tpot, ttft,
        point.requests_per_s * requests.mean("osl") / placement.gpus, is_kept,
        placement.formats, point.requests_per_s, placement.gpus,
        point.prefill_share, point.decode_power, pool, {role: line for role, line in roles.items() if line},
        {role: processes[role] for role, line in roles.items() if line},
    )  # fmt: skip


def sizes_of(mesh: Mesh) -> dict[str, int]:
    """Return the sizes of a layout that differ from 1."""
    return {name: size for name in SIZES if (size := getattr(mesh, name)) > 1}
