"""Requests on GPUs of one kind, with the price of their tokens, as a search over kinds of GPUs compares them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ..core.record import record
from ..estimate.cost import AS_GIVEN
from ..estimate.hardware import Accelerator
from ..estimate.prices import Price, price_quotes
from ..serving.encoders import EncoderServing
from ..serving.money import HOUR
from ..serving.points import excess
from ..serving.replicas import SIZES
from ..serving.result import ServingResult
from .serving_search import ServingSearch, sizes_of

Result = ServingResult | ServingSearch | EncoderServing
MILLION = 10**6


@record
class ServedGpus:
    """GPUs of one kind, and the requests on them.

    Attributes:
        accelerator: kind of the GPUs.
        count: number of GPUs.
        result: result of ``serve`` on them.
        engine: serving engine.
        runs: whether all requests run at once.
        keeps_limits: whether the times are within the limits, which is true without limits.
        excess: largest ratio of a time to its limit, or 0 without limits.
        layout: sizes of the layout that differ from 1, and the number of replicas.
        used: number of GPUs that the layout uses.
        concurrency: number of requests at any time.
        tpot_s: time per output token, or None if there is none.
        ttft_s: time to the first token, or None if there is none.
        requests_per_s: requests per second of all GPUs.
        tokens: input and output tokens of a request.
        output_tokens: output tokens of a request, or the tokens that an encoder reads.
        width: ratio of an end of the interval of the throughput to the estimate.
        price: price of one GPU, or None if unknown.
        commands: command lines of the engine by role.
        processes: how many times each of them is started, on other GPUs, by role.
    """

    accelerator: Accelerator
    count: int
    result: Result
    engine: str
    runs: bool
    keeps_limits: bool = True
    excess: float = 0.0
    layout: Mapping[str, int] = {}
    used: int = 1
    concurrency: float = 0.0
    tpot_s: float | None = None
    ttft_s: float | None = None
    requests_per_s: float = 0.0
    tokens: float = 0.0
    output_tokens: float = 0.0
    width: float = 1.0
    price: Price | None = None
    commands: Mapping[str, str] = {}
    processes: Mapping[str, int] = {}

    @property
    def is_met(self) -> bool:
        """Whether all requests run at once, within the limits."""
        return self.runs and self.keeps_limits

    @property
    def tokens_per_s(self) -> float:
        """Output tokens per second of all GPUs."""
        return self.requests_per_s * self.output_tokens

    @property
    def gpu_hours_per_million(self) -> float:
        """GPU-hours of a million tokens, input and output together."""
        return self.used * MILLION / (self.requests_per_s * self.tokens) / HOUR

    @property
    def usd_per_million(self) -> float | None:
        """US dollars per million tokens at the lowest quoted price, input and output together, or None if unknown."""
        return self.gpu_hours_per_million * self.price.low if self.runs and self.price else None

    @property
    def usd_per_million_range(self) -> tuple[float, float] | None:
        """Lowest and highest price of a million tokens, by the quoted prices and the interval of the throughput."""
        if not self.runs or self.price is None:
            return None
        hours = self.gpu_hours_per_million
        return hours * self.price.low / self.width, hours * self.price.high * self.width

    @property
    def quote(self) -> tuple[str, str]:
        """Lowest price as text, with its seller, and its date if it is known."""
        if self.price is None:
            return "", ""
        if self.price.source == AS_GIVEN:
            return AS_GIVEN, ""
        lowest = min(price_quotes(self.result.accelerator))
        return lowest.text, lowest.dated

    @property
    def rank(self) -> tuple[Any, ...]:
        """Key that orders GPUs: those that keep the limits, cheapest first, then those that come closest to them."""
        price = self.usd_per_million
        speed = self.requests_per_s / self.used if self.runs else 0.0
        return not self.runs, not self.keeps_limits, self.excess, price is None, price or 0.0, -speed

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        text, dated = self.quote
        names = ("tpot_s", "ttft_s", "concurrency", "requests_per_s", "tokens_per_s")
        span = self.usd_per_million_range
        return {
            "gpu": self.accelerator.name, "gpus": self.count, "runs": self.runs, "keeps_limits": self.keeps_limits,
            "engine": self.engine, "layout": dict(self.layout),
            "usd_per_million": self.usd_per_million, "usd_per_million_range": list(span) if span else None,
            **{name: getattr(self, name) if self.runs else None for name in names},
            "usd_per_gpu_hour": [self.price.low, self.price.high] if self.price else None,
            "quote": text or None, "quote_dated": dated or None, "commands": dict(self.commands),
            "processes": dict(self.processes),
        }  # fmt: skip


def served_gpus(card: Accelerator, count: int, result: Result, limits: Mapping[str, float]) -> ServedGpus:
    """Return GPUs with a result of ``serve`` on them."""
    if isinstance(result, EncoderServing):
        return _of_encoder(card, count, result)
    own = partial(ServedGpus, card, count, result, result.engine)
    output = result.requests.mean("osl")
    own = partial(own, tokens=result.requests.mean("isl") + output, output_tokens=output)
    if isinstance(result, ServingSearch):
        if result.is_too_long or not result.layouts:
            return own(runs=False, keeps_limits=False, used=count, price=result.price)
        one = result.layouts[0]
        pool = {"prefill": one.prefill.replicas} if one.prefill else {}
        replicas = {"replicas": one.replicas} if one.replicas > 1 else {}
        return own(
            runs=True, keeps_limits=one.keeps_limits, excess=0.0 if one.keeps_limits else excess(one, limits),
            layout={**one.settings, **replicas, **pool}, used=one.gpus, concurrency=one.concurrency,
            tpot_s=one.tpot_s, ttft_s=one.ttft_s, requests_per_s=one.requests_per_s, width=one.width,
            price=result.price, commands=one.commands, processes=one.processes,
        )  # fmt: skip
    if not result.all_run:
        return own(runs=False, used=result.used, price=result.price)
    sizes = {**sizes_of(result.mesh), **({"replicas": result.replicas} if result.replicas > 1 else {})}
    line, times = result.command
    return own(
        runs=True, layout=sizes, used=result.used, concurrency=result.load.concurrency,
        tpot_s=result.tpot_s, ttft_s=result.ttft_s, requests_per_s=float(result.time.requests_per_s),
        width=result.width, price=result.price, commands={"serve": line} if line else {},
        processes={"serve": times} if line else {},
    )  # fmt: skip


def _of_encoder(card: Accelerator, count: int, result: EncoderServing) -> ServedGpus:
    mesh = result.step.model.mesh
    return ServedGpus(
        card, count, result, result.step.model.engine.name, result.fits,
        layout={name: size for name in SIZES if (size := getattr(mesh, name)) > 1}, used=result.gpus,
        concurrency=result.concurrency, requests_per_s=result.requests_per_s, tokens=result.isl,
        output_tokens=result.isl, width=result.width, price=result.price,
    )  # fmt: skip
