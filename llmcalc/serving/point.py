"""An operating point: a service on replicas of a layout, with a number of requests, their times and their price."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from ..calc.sharding import Mesh
from ..core.interval import Interval
from ..core.record import NamedTuple, changed, record
from ..core.type_names import Any
from ..data import table
from ..kernels.interval import time_interval
from .calibration import MeasuredDeployment
from .money import Money, token_prices
from .points import LoadTimes
from .replicas import SIZES, Replica
from .service import Service
from .start.start import Start
from .step.step import StepModel

SERVE, PREFILL, DECODE = "serve", "prefill", "decode"  # roles of processes of the engine


class Placement(NamedTuple):
    """GPUs that serve a model: replicas of one layout, or two pools of replicas.

    Attributes:
        replica: a replica that decodes, and computes prefills unless there is a pool for them.
        replicas: number of these replicas.
        prefill: the pool that computes prefills alone, or None.
    """

    replica: Replica
    replicas: int
    prefill: Placement | None = None

    @property
    def mesh(self) -> Mesh:
        """Layout of a replica."""
        return self.replica.mesh

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the layout of a replica that differ from 1."""
        return self.replica.sizes

    @property
    def gpus(self) -> int:
        """Number of GPUs."""
        return self.replica.ranks * self.replicas + (self.prefill.gpus if self.prefill else 0)

    @property
    def formats(self) -> dict[str, str]:
        """Number formats by setting, of those that are given or stated by a file."""
        return {name: own for name, own in self.replica.formats.items() if own}


@record
class Point:
    """An operating point: what is asked, on which GPUs, with how many requests, and the times of these.

    ``point_at`` makes the points of a search, and ``under_load.py`` that of a given number of requests. A point has the
    ``start`` of its engine, which leaves the memory for the requests. It gives throughput, prices, energy and command
    lines.

    Attributes:
        service: the model in an engine on GPUs, the requests and the prices.
        placement: replicas that serve it.
        times: times of the requests, and their number.
        tpot: interval of the time per output token.
        ttft: interval of the time to the first token.
        keeps_limits: whether the times are within the limits.
    """

    service: Service
    placement: Placement
    times: LoadTimes
    tpot: Interval
    ttft: Interval
    keeps_limits: bool = True

    @property
    def start(self) -> Start | None:
        """How the engine starts on a replica, which leaves the memory for the requests, or None if it is unknown."""
        return self.placement.replica.memory.start

    @property
    def mesh(self) -> Mesh:
        """Layout of a replica."""
        return self.placement.mesh

    @property
    def replicas(self) -> int:
        """Number of replicas."""
        return self.placement.replicas

    @property
    def prefill(self) -> Placement | None:
        """Replicas that compute prefills alone, or None."""
        return self.placement.prefill

    @property
    def formats(self) -> dict[str, str]:
        """Number formats by setting, of those that are given or stated by a file."""
        return self.placement.formats

    @property
    def used(self) -> int:
        """Number of GPUs that the layout uses."""
        return self.placement.gpus

    @property
    def concurrency(self) -> float:
        """Number of requests at any time, over all replicas."""
        return self.times.concurrency

    @property
    def tpot_s(self) -> float:
        """Time per output token after the first, without a meaning if requests have a single one."""
        return self.times.tpot_s

    @property
    def ttft_s(self) -> float:
        """Time to the first token."""
        return self.times.ttft_s

    @property
    def requests_per_s(self) -> float:
        """Requests per second of all GPUs."""
        return self.times.requests_per_s

    @property
    def e2e(self) -> Interval:
        """Interval of the time of a whole request, from those of its first token and of the others."""
        whole = self.times.e2e_s
        rest = whole - self.ttft_s
        low, high = (getattr(self.ttft, end) + rest * getattr(self.tpot, end) / self.tpot_s for end in ("low", "high"))
        return Interval(low, whole, high, self.tpot.reasons)

    @property
    def width(self) -> float:
        """Ratio of an end of the interval to the estimate, of the time per output token."""
        return float(self.tpot.high / self.tpot_s)

    @property
    def tokens_per_s_user(self) -> float:
        """Output tokens per second of one request."""
        return 1 / self.tpot_s

    @property
    def tokens_per_s_gpu(self) -> float:
        """Output tokens per second of one GPU."""
        return self.requests_per_s * self.service.requests.mean("osl") / self.used

    @property
    def tokens_per_s_gpu_range(self) -> tuple[float, float]:
        """Ends of the interval of the output tokens per second of one GPU. Searches order points by the low end."""
        return self.tokens_per_s_gpu / self.width, self.tokens_per_s_gpu * self.width

    @property
    def usd_per_million_output(self) -> tuple[float, float] | None:
        """Lowest and highest price of a million output tokens in US dollars, with all cost charged to the output."""
        return token_prices(self.service.terms.price, self.tokens_per_s_gpu, self.width)

    @property
    def money(self) -> Money:
        """Price and energy of the tokens."""
        times, terms, requests = self.times, self.service.terms, self.service.requests
        return Money(
            self.used, requests.mean("isl"), requests.mean("osl"), self.requests_per_s, times.prefill_share,
            self.width, terms.price, terms.power(times.decode_power, times.busy), terms.api,
        )  # fmt: skip

    def tight(self, limits: Mapping[str, float]) -> dict[str, float]:
        """Return limits on the times for which the high ends of the intervals are within these limits.

        The ends of an interval have the same ratio to the time at every number of requests.
        """
        return {name: most * getattr(self, name).best / getattr(self, name).high for name, most in limits.items()}

    @property
    def processes(self) -> dict[str, int]:
        """How many times each command line is started, on other GPUs, by role."""
        return {role: number for role, (_, number) in self._processes.items()}

    @property
    def commands(self) -> dict[str, str]:
        """Command lines of the engine by role, ``serve`` or ``prefill`` and ``decode``, if its rule is known."""
        return {role: line for role, (line, _) in self._processes.items()}

    @cached_property
    def _processes(self) -> dict[str, tuple[str, int]]:
        """Command lines by role, and how many times each of them is started."""
        replica, count, first = self.placement
        longest, chunk = self.service.requests.longest, self.service.chunk
        if first:
            found = {
                PREFILL: (first.replica.command(longest, 1, chunk, PREFILL), first.replicas),
                DECODE: (replica.command(longest, self.times.batch, chunk, DECODE), count),
            }
        else:
            together = count if replica.takes_replicas else 1
            line = replica.command(longest, self.times.batch, chunk, replicas=together)
            found = {SERVE: (line, count // together)}
        return {role: (line, number) for role, (line, number) in found.items() if line}

    def to_dict(self) -> dict[str, Any]:
        """Return the point as a plain dictionary, with its price and energy."""
        first, times = self.prefill, self.times
        return {
            **{name: getattr(self.mesh, name) for name in SIZES}, "replicas": self.replicas,
            "gpus": self.used, "output_tokens_per_s": self.tokens_per_s_gpu * self.used,
            **{name: self.formats.get(name) for name in ("weights", "cache")},
            "prefill": first and {
                **{name: getattr(first.mesh, name) for name in ("tp", "dp", "ep")}, "replicas": first.replicas,
                "busy": times.busy, "wait_s": times.wait_s, "transfer_s": times.transfer_s,
            },
            "concurrency": self.concurrency,
            **{f"{name}{end}_s": float(value) for name in ("tpot", "ttft", "e2e") for end, value in (
                ("", getattr(self.times, f"{name}_s")), ("_low", getattr(self, name).low),
                ("_high", getattr(self, name).high))},
            "tokens_per_s_gpu": self.tokens_per_s_gpu, "tokens_per_s_user": self.tokens_per_s_user,
            "requests_per_s": self.requests_per_s, "keeps_limits": self.keeps_limits,
            "usd_per_million_output": self.usd_per_million_output, "money": self.money.to_dict(),
            "commands": self.commands, "processes": self.processes,
        }  # fmt: skip


def point_at(placement: Placement, times: LoadTimes, service: Service, *, is_kept: bool = True) -> Point:
    """Return the operating point of a service on replicas, which a search found.

    ``is_kept`` is whether the times are within the limits.
    """
    replica = placement.replica
    unmeasured = unmeasured_part(replica, is_pool=placement.prefill is not None)
    tpot, ttft = time_intervals(replica.steps, times, service.measured, unmeasured)
    if replica.drafting and replica.drafting.accepted_range:
        rest = times.tpot_s - times.step_s / replica.drafting.accepted  # that prefills of other requests add
        slow, fast = (rest + times.step_s / accepted for accepted in replica.drafting.accepted_range)
        tpot = with_acceptance(tpot, times.tpot_s, slow, fast)
    return Point(service, placement, times, tpot, ttft, is_kept)


def time_intervals(
    steps: StepModel, time: LoadTimes, measured: MeasuredDeployment | None = None, unknown: str = ""
) -> tuple[Interval, Interval]:
    """Return the intervals of the time per output token, which measurements narrow, and to the first token.

    ``unknown`` names what was not measured, if anything.
    """
    errors, used = table("time_errors"), steps.efficiencies.values()
    unknown = unknown or ("" if steps.engine.is_known else steps.engine.name)
    tpot, ttft = (
        time_interval(seconds, errors[name], used, unknown, rows)
        for name, seconds, rows in (("tpot", time.tpot_s, measured.n_rows if measured else 0), ("ttft", time.ttft_s, 0))
    )
    return tpot, ttft


def unmeasured_part(replica: Replica, *, is_pool: bool = False) -> str:
    """Return what was not measured about a layout, or empty text."""
    steps = replica.steps
    parts = {
        "disaggregated pools": is_pool, "pipeline stages": steps.stage_batches > 1,
        "speculative decoding of many requests": replica.drafting, "two-batch overlap under load": steps.overlaps,
        "requests without CUDA graphs": steps.engine.is_eager,
    }  # fmt: skip
    return next((name for name, is_used in parts.items() if is_used), "")


def with_acceptance(interval: Interval, tpot_s: float, slow_s: float, fast_s: float) -> Interval:
    """Return an interval that also covers the published numbers of accepted tokens, as ``Interval.with_span`` does."""
    return changed(interval, best=tpot_s).with_span(slow_s, fast_s, "the number of accepted tokens is assumed")
