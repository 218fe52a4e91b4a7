"""Times of requests that a serving engine answers at once, with intervals, prices and changed settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from ..calc.sharding import Mesh
from ..core.evidence import FITTED
from ..core.interval import Interval
from ..core.printable import three_digits
from ..core.record import record
from ..core.type_names import Any, ClassVar
from ..kernels.cost import COMMUNICATION, COMPUTE, ENGINE
from .admission import RequestBytes, reserved_bytes
from .money import Money
from .point import Point
from .replicas import SIZES
from .request_times import Load, ServingTime
from .running_changes import faster_layout, holds_all, running_changes
from .service import Service
from .service_result import ServiceResult
from .speculation import Drafting
from .start.start import Start
from .stated import stated
from .step.step_models import engine_step

SPEEDS = (
    "tpot_s", "tpot_low_s", "tpot_high_s", "ttft_s", "ttft_low_s", "ttft_high_s", "tokens_per_s_user",
    "usd_per_million_output", "usd_per_million",
)  # fmt: skip
LISTED = 64  # classes of requests


@record
class ServingResult(ServiceResult):
    """Time of requests on a serving engine under load, in seconds, with intervals of 80 %.

    Attributes:
        point: the operating point: layout, number of requests, times, throughput and prices.
        load: requests as an engine serves them.
        time: times of the requests, and what they consist of.
        retry: function that estimates the times with other settings.
        plain: times without speculative decoding, or None if there is none.
        accepted_times: times with the lowest and the highest published numbers of accepted tokens, or None.
        notes: assumptions.
        placed: how the engine starts with a part in host memory, if the GPUs alone do not store the model, or None.
        has_chosen_layout: whether the layout is not given, and not tensor parallelism over all GPUs.
    """

    point: Point
    load: Load
    time: ServingTime
    retry: Callable[[Mapping[str, Any]], ServingResult]
    plain: ServingTime | None = None
    accepted_times: tuple[ServingTime, ServingTime] | None = None
    notes: tuple[str, ...] = ()
    placed: Start | None = None
    has_chosen_layout: bool = False

    EVIDENCE: ClassVar[Mapping[str, str]] = dict.fromkeys(("tpot_s", "ttft_s", "requests_per_s", "speedup"), FITTED)

    @property
    def service(self) -> Service:
        """The model in an engine on GPUs, with its requests and prices."""
        return self.point.service

    @property
    def drafting(self) -> Drafting | None:
        """Speculative decoding, or None."""
        return self.point.placement.replica.drafting

    @property
    def mesh(self) -> Mesh:
        """Layout of a replica."""
        return self.point.mesh

    @property
    def kernels(self) -> dict[str, str]:
        """Where the coefficients of the kernels come from, by kind of kernel."""
        return {
            f"{kind} {kernel}".strip(): f"{own.origin} {own.accelerator}".strip()
            for (kind, kernel), own in self.point.placement.replica.steps.efficiencies.items()
        }

    @property
    def tpot(self) -> Interval | None:
        """Interval of the time per output token, or None if the engine refuses or a request has one output token."""
        return None if self.requests.is_single_token or self.is_refused else self.point.tpot

    @property
    def ttft(self) -> Interval | None:
        """Interval of the time to the first token, or None if the engine refuses or requests wait for memory."""
        return self.point.ttft if self.time.fits and self.time.waiting <= 0 and not self.is_refused else None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the intervals are wider than usual."""
        return self.point.tpot.reasons

    @property
    def width(self) -> float:
        """Ratio of an end of the interval to the estimate, of the time per output token."""
        return self.point.width

    @property
    def money(self) -> Money | None:
        """Price and energy of the tokens, or None if the requests do not all run."""
        return self.point.money if self.all_run else None

    @property
    def tpot_s(self) -> float | None:
        """Time per output token after the first, or None if a request has a single output token."""
        return self.point.tpot_s if self.tpot else None

    @property
    def tpot_low_s(self) -> float | None:
        """Lower end of the interval of ``tpot_s``."""
        return float(self.tpot.low) if self.tpot else None

    @property
    def tpot_high_s(self) -> float | None:
        """Upper end of the interval of ``tpot_s``."""
        return float(self.tpot.high) if self.tpot else None

    @property
    def ttft_s(self) -> float | None:
        """Time to the first token, or None if requests wait for memory."""
        return self.point.ttft_s if self.ttft else None

    @property
    def ttft_low_s(self) -> float | None:
        """Lower end of the interval of ``ttft_s``."""
        return float(self.ttft.low) if self.ttft else None

    @property
    def ttft_high_s(self) -> float | None:
        """Upper end of the interval of ``ttft_s``."""
        return float(self.ttft.high) if self.ttft else None

    @property
    def fits(self) -> bool:
        """Whether the engine starts, one request fits, and requests of this length are allowed."""
        return bool(self.time.fits) and not self.too_long and self.starts

    @property
    def is_refused(self) -> bool:
        """Whether the engine refuses the layout, the settings or this length, so that nothing has times."""
        start = self.point.start
        return bool(self.too_long or (start and start.refusals))

    @property
    def starts(self) -> bool:
        """Whether the engine starts with the given settings, and with the longest request unless a length is given."""
        return self.point.start is None or self.point.start.starts

    @property
    def running(self) -> int:
        """Requests that run at once, over all data-parallel ranks."""
        return int(min(self.time.batch, self.time.capacity) * self.time.n_batches + 1e-9) if self.fits else 0

    @property
    def held_tokens(self) -> float:
        """Tokens in the KV cache that a running request holds and reserves on average."""
        size = RequestBytes(self.isl, self.isl + self.osl / 2, self.isl + self.osl)
        return float(reserved_bytes(engine_step(self.engine).admission, size, self.osl))

    @property
    def limit(self) -> str:
        """What limits the number of running requests."""
        if self.time.waiting <= 0:
            return "number of requests"
        is_most = self.load.most <= self.time.capacity
        return "largest number of sequences of the engine" if is_most else "KV cache"

    @property
    def speedup(self) -> float | None:
        """Time per output token without speculative decoding, relative to that with it."""
        return float(self.plain.tpot_s / self.time.tpot_s) if self.plain and self.tpot else None

    @property
    def break_even_length(self) -> float | None:
        """Accepted tokens per step at which speculative decoding does not change the time, or None."""
        if self.plain is None or not self.tpot:
            return None
        step, others = self.time.step.seconds, self.time.tpot_s - self.time.step.seconds / self.time.accepted
        rest = self.plain.tpot_s - others
        return float(step / rest) if rest > 0 else None

    @property
    def all_run(self) -> bool:
        """Whether all requests run at once."""
        return self.fits and bool(self.time.waiting <= 0)

    @cached_property
    def faster(self) -> tuple[dict[str, Any], ServingResult] | None:
        """Layout with divided experts or replicas and its result, if it has more tokens per second, or None."""
        found = faster_layout(self)
        return found and found._replace(settings=stated(self.service, found.settings))

    @cached_property
    def changes(self) -> tuple[tuple[dict[str, Any], ServingResult], ...]:
        """Changed settings with which more requests run, or fewer all at once. Empty if all run already."""
        if self.all_run or self.too_long:
            return ()
        return tuple((stated(self.service, change), found) for change, found in running_changes(self))

    @property
    def holding_change(self) -> dict[str, Any] | None:
        """First of these changes with which all requests run, or None."""
        return next((change for change, found in self.changes if holds_all(change, found)), None)

    @cached_property
    def parts(self) -> tuple[tuple[str, float, str], ...]:
        """Parts of the time per output token, longest first: name, seconds and what limits it."""
        if not self.tpot:
            return ()
        step, tokens = self.time.step, self.time.accepted
        found = [(name, float(cost.seconds / tokens), cost.bound) for name, cost in step.components.items()]
        found += [(name, float(seconds / tokens), COMMUNICATION) for name, seconds in step.collectives.items()]
        found.append(("between kernels", float(step.launches / tokens), "between kernels"))
        found.append((ENGINE, float(step.engine / tokens), ENGINE))
        found.append(("prefill of other requests", float(self.time.tpot_s - step.seconds / tokens), COMPUTE))
        return tuple(sorted((part for part in found if part[1]), key=lambda part: -part[1]))

    @property
    def tokens_per_s_user(self) -> float | None:
        """Output tokens per second of one request, or None if it has a single output token."""
        return 1 / self.tpot_s if self.tpot_s else None

    @property
    def tokens_per_s_gpu(self) -> float:
        """Output tokens per second of one GPU."""
        return 0.0 if self.is_refused else self.point.tokens_per_s_gpu

    @property
    def usd_per_million_output(self) -> tuple[float, float] | None:
        """Lowest and highest price of a million output tokens in US dollars, with all cost charged to the output."""
        return None if self.is_refused else self.point.usd_per_million_output

    @property
    def usd_per_million(self) -> tuple[float, float] | None:
        """Lowest and highest price of a million tokens in US dollars, input and output together."""
        output = self.usd_per_million_output
        share = self.osl / (self.isl + self.osl)
        return None if output is None else (float(output[0] * share), float(output[1] * share))

    @property
    def summary(self) -> str:
        """Answer in one line."""
        gpus, start = f"on {self.point.used} × {self.accelerator.title}", self.point.start
        if self.too_long:
            return self.too_long
        if start and not self.starts:
            return start.summary
        if not self.fits:
            if self.placed:
                started = f"{self.engine_title} starts{self.placed.placement}"
                return f"No times {gpus}: {started}, whose speed is not modelled"
            if self.time.capacity > 0:
                return f"A request of {self.requests.longest:,.10g} tokens does not fit in the KV cache"
            return f"Will not start: the weights do not fit {gpus}"
        if not self.all_run:
            wanted = f"{self.running:,} of {self.load.concurrency:,.10g} requests run"
            return f"Only {wanted if self.running != 1 else wanted.replace('run', 'runs')} at once; the others wait"
        speed = f"{three_digits(self.tokens_per_s_gpu)} tokens/s per GPU"
        if self.tpot_s is None or self.tpot_low_s is None or self.tpot_high_s is None:
            return f"{self.time.requests_per_s:,.3g} requests/s, {speed}"
        best, low, high = (three_digits(own * 1e3) for own in (self.tpot_s, self.tpot_low_s, self.tpot_high_s))
        user = f"{three_digits(1 / self.tpot_s)} tokens/s per user"
        return f"{best} ms per output token ({low} to {high} ms), {user}, {speed}"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        rate_of_gpu = self.tokens_per_s_gpu if self.fits else 0.0
        counts = {
            "gpus_used": self.point.used, "requests_running": self.running,
            "requests_waiting": self.load.concurrency - self.running,
            "output_tokens_per_s": rate_of_gpu * self.point.used, "output_tokens_per_s_gpu": rate_of_gpu,
            "tokens_per_s_gpu": rate_of_gpu,
        }  # fmt: skip
        mesh = {**{name: getattr(self.mesh, name) for name in SIZES}, "replicas": self.point.replicas}
        names_of_time = ("capacity", "waiting", "requests_per_s", "batch")
        capacity, waiting, rate, batch = (float(getattr(self.time, name)) for name in names_of_time)
        if not self.fits:
            waiting, rate, batch = float(self.load.concurrency), 0.0, 0.0
        if self.is_refused:
            capacity = 0.0
        time = {"capacity": capacity, "waiting": waiting, "requests_per_s": rate, "requests_per_rank": batch}
        return {
            "model": self.model, "gpu": self.accelerator.name, "gpus": self.gpus, "engine": self.engine, **mesh,
            "isl": self.isl, "osl": self.osl, "concurrency": self.load.concurrency,
            "max_num_batched_tokens": self.load.chunk,
            **self.attributes(*SPEEDS, "fits", "max_model_len", "running", "all_run"),
            **({} if self.fits else dict.fromkeys(SPEEDS)), **counts, **time,
            "reason": "" if self.fits else self.summary,
            "requests": requests_dict(self), "speculation": speculation_dict(self),
            "parts": [dict(zip(("name", "seconds", "bound"), part, strict=True)) for part in self.parts * self.fits],
            "usd_per_hour": [self.price.low, self.price.high] if self.price else None,
            "width_reasons": list(self.reasons), "kernels": dict(self.kernels), "evidence": self.evidence,
            "money": self.money.to_dict() if self.money else None,
            "notes": list(self.notes),
        }  # fmt: skip


def class_times(result: ServingResult) -> list[tuple[float, float]]:
    """Return the time to the first token and the whole time of a request of each class."""
    classes, first = result.requests.classes, result.time.class_ttft_s
    each = first if len(classes) > 1 else [first]
    return [
        (float(own), float(own + (one.osl - 1) * result.time.tpot_s))
        for one, own in zip(classes, each, strict=True)
    ]  # fmt: skip


def requests_dict(result: ServingResult) -> list[dict[str, Any]]:
    """Return the classes of requests as plain dictionaries. Those of a trace are left out if there are many."""
    classes = result.requests.classes
    if len(classes) > LISTED:
        return []
    return [
        {
            "isl": one.isl, "osl": one.osl, "share": one.share, "cached": one.cached,
            "ttft_s": first if result.ttft else None, "request_s": whole if result.ttft else None,
        }
        for one, (first, whole) in zip(classes, class_times(result), strict=True)
    ]  # fmt: skip


def speculation_dict(result: ServingResult) -> dict[str, Any] | None:
    """Return speculative decoding as a plain dictionary, or None."""
    own = result.drafting
    if own is None:
        return None
    slow, fast = result.accepted_times or (None, None)
    return {
        "draft": own.title, "drafted_tokens": own.drafted, "verified_tokens": own.speculation.verified,
        "acceptance_length": own.accepted, "acceptance_range": own.accepted_range, "source": own.source or None,
        "break_even_length": result.break_even_length, "speedup": result.speedup,
        "tpot_without_s": float(result.plain.tpot_s) if result.plain and result.tpot and result.fits else None,
        "tpot_range_s": [float(fast.tpot_s), float(slow.tpot_s)] if slow and fast and result.fits else None,
    }  # fmt: skip
