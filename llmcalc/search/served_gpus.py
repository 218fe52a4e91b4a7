"""Requests on GPUs of one kind, with the price of their tokens, as a search over kinds of GPUs compares them."""

from __future__ import annotations

from typing import Any

from ..core.record import record
from ..estimate.cost import AS_GIVEN
from ..estimate.hardware import Accelerator
from ..estimate.prices import Price, median_quote, usual_price
from ..serving.encoders import EncoderServing
from ..serving.money import HOUR
from ..serving.point import Point
from ..serving.points import excess
from ..serving.result import ServingResult
from ..serving.running_changes import layout_of_all
from .serving_search import ServingSearch

Result = ServingResult | ServingSearch | EncoderServing
MILLION = 10**6


@record
class ServedGpus:
    """GPUs of one kind, and the requests on them.

    Attributes:
        accelerator: kind of the GPUs.
        count: number of GPUs.
        result: result of ``serve`` on them.
        used: number of GPUs that the layout uses.
        served: operating point, throughput of an encoder, or None if the requests do not all run at once.
    """

    accelerator: Accelerator
    count: int
    result: Result
    used: int
    served: Point | EncoderServing | None

    @property
    def point(self) -> Point | None:
        """Operating point, or None if the requests do not all run at once, or the model is an encoder."""
        return self.served if isinstance(self.served, Point) else None

    @property
    def runs(self) -> bool:
        """Whether all requests run at once."""
        return self.served is not None

    @property
    def keeps_limits(self) -> bool:
        """Whether the times are within the limits, which is true without limits."""
        return self.point.keeps_limits if self.point else not isinstance(self.result, ServingSearch)

    @property
    def excess(self) -> float:
        """Largest ratio of a time to its limit, or 0 within the limits."""
        own = self.point
        return float(excess(own.times, own.service.limits or {})) if own and not own.keeps_limits else 0.0

    @property
    def price(self) -> Price | None:
        """Price of one GPU, or None if unknown."""
        return self.result.price

    @property
    def layout(self) -> dict[str, int]:
        """Sizes of the layout that differ from 1, and the numbers of replicas."""
        if self.point is None:
            return self.result.sizes if isinstance(self.result, EncoderServing) else {}
        first, count = self.point.prefill, self.point.replicas
        pool = {"prefill": first.replicas} if first else {}
        return {**self.point.placement.sizes, **({"replicas": count} if count > 1 else {}), **pool}

    @property
    def tpot_s(self) -> float | None:
        """Time per output token, or None if there is none."""
        own = self.point
        return own.tpot_s if own and not own.service.requests.is_single_token else None

    @property
    def ttft_s(self) -> float | None:
        """Time to the first token, or None if there is none."""
        return self.point.ttft_s if self.point else None

    @property
    def commands(self) -> dict[str, str]:
        """Command lines of the engine by role."""
        return self.point.commands if self.point else {}

    @property
    def is_met(self) -> bool:
        """Whether all requests run at once, within the limits."""
        return self.runs and self.keeps_limits

    @property
    def processes(self) -> dict[str, int]:
        """How many times each of them is started, on other GPUs, by role."""
        return self.point.processes if self.point else {}

    @property
    def lengths(self) -> tuple[float, float]:
        """Tokens of a request, and those that it generates, or that an encoder reads."""
        own = self.result
        return (own.isl, own.isl) if isinstance(own, EncoderServing) else (own.isl + own.osl, own.osl)

    @property
    def tokens_per_s(self) -> float:
        """Output tokens per second of all GPUs, or 0 if the requests do not all run."""
        return self.served.requests_per_s * self.lengths[1] if self.served else 0.0

    @property
    def gpu_hours_per_million(self) -> float:
        """GPU-hours of a million tokens, input and output together, or 0 if the requests do not all run."""
        return self.used * MILLION / (self.served.requests_per_s * self.lengths[0]) / HOUR if self.served else 0.0

    @property
    def usd_per_hour(self) -> float | None:
        """US dollars per GPU-hour at the median quote, or as given, or None if unknown."""
        return usual_price(self.result.accelerator, self.price) if self.price else None

    @property
    def usd_per_million(self) -> float | None:
        """US dollars per million tokens at the median quote, input and output together, or None if unknown."""
        return self.gpu_hours_per_million * self.usd_per_hour if self.served and self.usd_per_hour else None

    @property
    def usd_per_million_range(self) -> tuple[float, float] | None:
        """Lowest and highest price of a million tokens, by the quoted prices and the interval of the throughput."""
        return self.price.within(self.gpu_hours_per_million, self.served.width) if self.served and self.price else None

    @property
    def quote(self) -> tuple[str, str]:
        """Median quote of a GPU-hour as text, with its seller, and its date if it is known."""
        if self.price is None:
            return "", ""
        if self.price.source == AS_GIVEN:
            return AS_GIVEN, ""
        found = median_quote(self.result.accelerator)
        return found.text, found.dated

    @property
    def rank(self) -> tuple[Any, ...]:
        """Key that orders GPUs: those that keep the limits, cheapest first, then those that come closest to them."""
        price, speed = self.usd_per_million, self.served.requests_per_s / self.used if self.served else 0.0
        return not self.runs, not self.keeps_limits, self.excess, price is None, price or 0.0, -speed

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        (text, dated), span, own = self.quote, self.usd_per_million_range, self.served
        return {
            "gpu": self.accelerator.name, "gpus": self.count, "runs": self.runs, "keeps_limits": self.keeps_limits,
            "engine": self.result.engine, "layout": self.layout,
            "usd_per_million": self.usd_per_million, "usd_per_million_range": list(span) if span else None,
            "tpot_s": self.tpot_s, "ttft_s": self.ttft_s, "concurrency": own and own.concurrency,
            "requests_per_s": own and own.requests_per_s, "tokens_per_s": self.tokens_per_s if own else None,
            "usd_per_gpu_hour": [self.price.low, self.price.high] if self.price else None,
            "quote": text or None, "quote_dated": dated or None, "commands": self.commands,
            "processes": self.processes,
        }  # fmt: skip


def served_gpus(card: Accelerator, count: int, result: Result) -> ServedGpus:
    """Return GPUs with a result of ``serve`` on them."""
    if isinstance(result, EncoderServing):
        return ServedGpus(card, count, result, result.used, result if result.fits else None)
    if isinstance(result, ServingSearch):
        point = None if result.too_long else next(iter(result.layouts), None)
        return ServedGpus(card, count, result, point.used if point else count, point)
    result = result if result.all_run else layout_of_all(result) or result
    return ServedGpus(card, count, result, result.point.used, result.point if result.all_run else None)
