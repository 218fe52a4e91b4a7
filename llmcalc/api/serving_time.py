"""Time of requests that a serving engine answers at once: per output token and to the first token."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.evidence import FITTED, of_architecture
from ..core.notebook_display import NotebookDisplay
from ..core.record import changed, record
from ..core.setting import Setting, check_values, read_length
from ..estimate.hardware import Accelerator
from ..estimate.serving_money import Terms
from ..estimate.time.cost import COMMUNICATION, COMPUTE, ENGINE
from ..estimate.time.interval import Interval
from ..estimate.time.serving import CHUNK, OTHER_BYTES, SHARE, Load, ServingTime, serving_time
from ..estimate.training_run import Price
from .accelerators import read_gpus
from .calibration import Calibration, read_calibration
from .engine_result import ServeResult
from .load import Source
from .load import load as read_model
from .serving_layouts import LayoutSearch, check_formats, format_choices
from .serving_memory import engine_title, free_memory
from .serving_search import ServingSearch, longest_request, read_limits, search_layouts, time_intervals, token_prices
from .serving_terms import read_terms, result_money
from .step_models import check_layout, engine_step, step_model

if TYPE_CHECKING:
    from .serving_front import ServingFront
    from .serving_pools import ServingPools

FORMATS = ("weights", "experts", "attention_weights", "cache")
SERVING = (
    Setting("concurrency", float, above=0),
    *(Setting(name) for name in ("gpu", "sla", "api_price", "prefill_pool", "engine", *FORMATS)),
    Setting("pareto", bool),
    Setting("price", float, above=0),
    Setting("watts", float, above=0),
    *(Setting(name, int, least=1) for name in ("isl", "osl", "tp", "dp", "ep", "max_num_batched_tokens")),
)
SETTINGS = (
    "isl", "osl", "concurrency", "engine", "tp", "dp", "ep", "weights", "experts", "attention_weights", "cache",
    "max_num_batched_tokens", "price", "sla", "calibration", "pareto", "prefill_pool", "watts", "api_price",
)  # fmt: skip


@record
class ServingResult(NotebookDisplay):
    """Time of requests on a serving engine under load, in seconds, with intervals of 80 %.

    Attributes:
        model: name of the model.
        accelerator: the GPU.
        gpus: number of GPUs.
        mesh: layout.
        engine: serving engine.
        load: requests.
        time: times of the requests.
        tpot: interval of the time per output token, or None if a request has a single output token.
        ttft: interval of the time to the first token, or None if requests wait for memory.
        width: ratio of an end of the interval to the estimate, of the time per output token.
        reasons: why the intervals are wider than usual.
        kernels: where the coefficients of the kernels come from, by kind of kernel.
        price: price of one GPU in US dollars per hour, or None if unknown.
        memory: division of the memory by the engine, or None if its rule is unknown.
        max_model_len: largest number of tokens of a request that the model allows, or None if unknown.
        retry: function that estimates the times with other settings.
        notes: assumptions.
        terms: prices and power that the cost and the energy of tokens follow from.
    """

    model: str
    accelerator: Accelerator
    gpus: int
    mesh: Mesh
    engine: str
    load: Load
    time: ServingTime
    tpot: Interval | None
    ttft: Interval | None
    width: float
    reasons: tuple[str, ...]
    kernels: Mapping[str, str]
    architecture: Architecture
    price: Price | None
    memory: ServeResult | None
    max_model_len: int | None
    retry: Callable[[Mapping[str, Any]], ServingResult]
    notes: tuple[str, ...] = ()
    terms: Terms | None = None

    EVIDENCE: ClassVar[Mapping[str, str]] = dict.fromkeys(("tpot_s", "ttft_s", "requests_per_s"), FITTED)

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of each value."""
        return of_architecture(self.EVIDENCE, self.architecture)

    @property
    def tpot_s(self) -> float | None:
        """Time per output token after the first, or None if a request has a single output token."""
        return float(self.time.tpot_s) if self.tpot else None

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
        return float(self.time.ttft_s) if self.ttft else None

    @property
    def ttft_low_s(self) -> float | None:
        """Lower end of the interval of ``ttft_s``."""
        return float(self.ttft.low) if self.ttft else None

    @property
    def ttft_high_s(self) -> float | None:
        """Upper end of the interval of ``ttft_s``."""
        return float(self.ttft.high) if self.ttft else None

    @property
    def engine_title(self) -> str:
        """Name of the engine as its authors write it."""
        return engine_title(self.engine)

    @property
    def fits(self) -> bool:
        """Whether the weights and one request fit in the memory, and the model allows a request of this length."""
        return bool(self.time.capacity >= 1) and not self.is_too_long

    @property
    def is_too_long(self) -> bool:
        """Whether a request has more tokens than the model allows."""
        return self.max_model_len is not None and self.load.isl + self.load.osl > self.max_model_len

    @property
    def running(self) -> int:
        """Requests that run at once, over all data-parallel ranks."""
        return int(min(self.time.batch, self.time.capacity) * self.mesh.dp + 1e-9)

    @property
    def all_run(self) -> bool:
        """Whether all requests run at once."""
        return self.fits and bool(self.time.waiting <= 0)

    @cached_property
    def changes(self) -> tuple[tuple[dict[str, Any], ServingResult], ...]:
        """Changed settings with which more requests run, or fewer all at once. Empty if all run already."""
        return () if self.all_run or self.is_too_long else tuple(self._changes())

    def _changes(self) -> Iterator[tuple[dict[str, Any], ServingResult]]:
        name, ranks = self.accelerator.name, self.mesh.tp * self.mesh.dp
        larger: list[dict[str, Any]] = []
        for factor in (2, 4, 8):  # the second one if tensor-parallel ranks are given
            own = {"gpu": f"{name}:{ranks * factor}"}
            larger += [own, {**own, "tp": self.mesh.tp * factor}]
        fewer = [{"concurrency": self.running}] if self.fits else []
        for candidates in (fewer, [{"cache": "fp8"}], [{"weights": "fp8"}], larger):
            found = [*self._helpful(candidates)]
            if found:
                yield next((each for each in found if each[1].all_run), found[-1])

    def _helpful(self, candidates: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], ServingResult]]:
        """Yield the changes with which more requests run, or all of them."""
        for change in candidates:
            with suppress(InputError):  # a format or a layout that the model does not allow
                found = self.retry(change)
                if found.fits and (found.all_run or found.running > max(self.running, 1)):
                    yield change, found

    @cached_property
    def parts(self) -> tuple[tuple[str, float, str], ...]:
        """Parts of the time per output token, longest first: name, seconds and what limits it."""
        if not self.tpot:
            return ()
        step = self.time.step
        found = [(name, float(cost.seconds), cost.bound) for name, cost in step.components.items()]
        found += [(name, float(seconds), COMMUNICATION) for name, seconds in step.collectives.items()]
        found += [("between kernels", float(step.launches), "between kernels"), (ENGINE, float(step.engine), ENGINE)]
        found.append(("prefill of other requests", float(self.time.tpot_s - step.seconds), COMPUTE))
        return tuple(sorted((part for part in found if part[1]), key=lambda part: -part[1]))

    @property
    def tokens_per_s_user(self) -> float | None:
        """Output tokens per second of one request, or None if it has a single output token."""
        return 1 / self.tpot_s if self.tpot_s else None

    @property
    def tokens_per_s_gpu(self) -> float:
        """Output tokens per second of one GPU."""
        return float(self.time.requests_per_s * self.load.osl / (self.mesh.dp * self.mesh.tp))

    @property
    def usd_per_million_output(self) -> tuple[float, float] | None:
        """Lowest and highest price of a million output tokens in US dollars, with all cost charged to the output."""
        return token_prices(self.price, self.tokens_per_s_gpu, self.width)

    @property
    def usd_per_million(self) -> tuple[float, float] | None:
        """Lowest and highest price of a million tokens in US dollars, input and output together."""
        output = self.usd_per_million_output
        share = self.load.osl / (self.load.isl + self.load.osl)
        return None if output is None else (float(output[0] * share), float(output[1] * share))

    @property
    def summary(self) -> str:
        """Answer in one line."""
        length = self.load.isl + self.load.osl
        if self.is_too_long:
            return f"A request of {length:,} tokens exceeds the model's {self.max_model_len:,}"
        if not self.fits:
            if self.time.capacity > 0:
                return f"A request of {length:,} tokens does not fit in the KV cache"
            if self.memory and not self.memory.starts:
                return self.memory.summary
            ranks = self.mesh.dp * self.mesh.tp
            return f"Will not start: the weights do not fit on {ranks} × {self.accelerator.title}"
        if not self.all_run:
            wanted = f"{self.running:,} of {self.load.concurrency:,.10g} requests run"
            return f"Only {wanted if self.running != 1 else wanted.replace('run', 'runs')} at once; the others wait"
        speed = f"{self.tokens_per_s_gpu:,.0f} tokens/s per GPU"
        if self.tpot_s is None or self.tpot_low_s is None or self.tpot_high_s is None:
            return f"{self.time.requests_per_s:,.3g} requests/s, {speed}"
        best, low, high = (
            f"{ms:,.0f}" if (ms := seconds * 1e3) >= 99.95 else f"{ms:#.3g}"
            for seconds in (self.tpot_s, self.tpot_low_s, self.tpot_high_s)
        )
        user = f"{self.tokens_per_s_user:,.0f} tokens/s per user"
        return f"{best} ms per output token ({low} to {high} ms), {user}, {speed}"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        names = (
            "tpot_s", "tpot_low_s", "tpot_high_s", "ttft_s", "ttft_low_s", "ttft_high_s", "fits", "max_model_len",
            "running", "all_run", "tokens_per_s_user", "tokens_per_s_gpu", "usd_per_million_output", "usd_per_million",
        )  # fmt: skip
        mesh = {name: getattr(self.mesh, name) for name in ("tp", "dp", "ep")}
        time = {name: float(getattr(self.time, name)) for name in ("capacity", "waiting", "requests_per_s")}
        time["requests_per_rank"] = float(self.time.batch)
        return {
            "model": self.model, "gpu": self.accelerator.name, "gpus": self.gpus, "engine": self.engine, **mesh,
            "isl": self.load.isl, "osl": self.load.osl, "concurrency": self.load.concurrency,
            "max_num_batched_tokens": self.load.chunk, **{name: getattr(self, name) for name in names}, **time,
            "parts": [dict(zip(("name", "seconds", "bound"), part, strict=True)) for part in self.parts],
            "usd_per_hour": [self.price.low, self.price.high] if self.price else None,
            "money": money.to_dict() if (money := result_money(self)) else None,
            "width_reasons": list(self.reasons), "kernels": dict(self.kernels), "evidence": self.evidence,
            "notes": list(self.notes),
        }  # fmt: skip


def serving(
    model: Source,
    gpu: str,
    *,
    isl: int | str,
    osl: int | str,
    concurrency: float | None = None,
    engine: str | None = None,
    tp: int | None = None,
    dp: int = 1,
    ep: int = 1,
    weights: str | None = None,
    experts: str | None = None,
    attention_weights: str | None = None,
    cache: str | None = None,
    max_num_batched_tokens: int | str = CHUNK,
    price: float | None = None,
    sla: str | None = None,
    calibration: Calibration | str | os.PathLike[str] | None = None,
    pareto: bool = False,
    prefill_pool: str | None = None,
    watts: float | None = None,
    api_price: str | None = None,
) -> ServingResult | ServingSearch | ServingFront | ServingPools:
    """Estimate the time of requests on a serving engine with a constant number of requests.

    >>> import llmcalc
    >>> result = llmcalc.serve("llama3.1-8b", "h100", isl=1000, osl=500, concurrency=16)
    >>> result.fits, result.tpot_low_s < result.tpot_s < result.tpot_high_s
    (True, True)

    Args:
        model: an architecture, or anything ``load`` reads.
        gpu: accelerator with an optional count, such as ``"h100:4"``.
        isl: input tokens of a request.
        osl: output tokens of a request.
        concurrency: number of requests at any time (default: 1, or with ``sla`` the best number).
        engine: serving engine (default: ``vllm``). An unknown one has a wider interval.
        tp: number of tensor-parallel ranks (default: all GPUs).
        dp: number of ranks that have different requests and share the experts.
        ep: number of ranks over which the experts are divided.
        weights: number format of the weights (default: as published).
        experts: number format of routed experts (default: ``weights``).
        attention_weights: number format of layers that mix tokens (default: ``weights``).
        cache: number format of keys and values (default: 16 bits).
        max_num_batched_tokens: largest number of tokens of prefill in a step.
        price: US dollars per GPU-hour (default: quoted prices).
        sla: longest times, such as ``"ttft<300ms,tpot<10ms"``. Returns the layouts with the most tokens per second.
        calibration: result of ``calibrate``, or its file. The engine is by default the measured one.
        pareto: return the most tokens per second at each speed of a request, as ``serving_front`` does.
        prefill_pool: replicas that compute prefills alone, such as ``"2xtp2"``. The other GPUs decode.
        watts: measured power per GPU (default: by what kernels read and compute, from the rated power).
        api_price: US dollars per million input and output tokens of an API to compare with, such as ``"0.5/1.5"``.
    """
    lengths: dict[str, Any] = {"isl": isl, "osl": osl, "max_num_batched_tokens": max_num_batched_tokens}
    lengths = {name: read_length(value, name) for name, value in lengths.items()}
    sizes = {"concurrency": concurrency, "price": price, "watts": watts, "tp": tp, "dp": dp, "ep": ep}
    formats: dict[str, Any] = dict(zip(FORMATS, (weights, experts, attention_weights, cache), strict=True))
    named = {"gpu": gpu, "engine": engine, "sla": sla, "pareto": pareto, "prefill_pool": prefill_pool}
    named["api_price"] = api_price
    check_values(SERVING, {**lengths, **sizes, **formats, **named})
    architecture, card, count = read_model(model), *_gpus(gpu)
    measured = None
    if calibration is not None:
        own = engine_step(engine).name if engine else None
        measured = read_calibration(calibration).find(architecture, card.name, own, weights)
        engine = measured.engine
    factors = measured.factors if measured else None
    terms = read_terms(card, price, watts, api_price)
    if sla is not None or pareto:
        limits = read_limits(sla) if sla else {}
        if lengths["osl"] == 1:
            raise InputError("limits on times need at least 2 output tokens", parameter="osl", hint="use {osl=2}")
        given = [name for name, size in (("tp", tp or 1), ("dp", dp), ("ep", ep)) if size > 1]
        given += ["prefill_pool"] if prefill_pool else []
        if given:
            hint = f"the layout is chosen; omit {{{given[0]}}}"
            raise InputError("cannot be combined with a search for layouts", parameter=given[0], hint=hint)
        check_formats(architecture, formats)
        load = Load(lengths["isl"], lengths["osl"], 1, lengths["max_num_batched_tokens"])
        name = engine_step(engine or "vllm").name
        layouts = LayoutSearch(architecture, card, count, load, name, (formats,), factors, concurrency)
        if pareto:
            from .serving_front import find_front

            tried = (formats,) if measured else format_choices(architecture, card, formats)
            return find_front(changed(layouts, formats=tried), limits, terms, measured)
        return search_layouts(layouts, limits, terms, measured)
    concurrency = 1 if concurrency is None else concurrency
    if prefill_pool is not None:
        from .serving_pools import serving_pools

        if (tp or dp) * dp % ep:
            raise InputError(f"must divide the {(tp or 1) * dp} GPUs of a replica, not {ep}", parameter="ep")
        decode = Mesh(dp=dp, tp=tp or 1, ep=ep, etp=(tp or 1) * dp // ep) if tp or dp > 1 else None
        load = Load(lengths["isl"], lengths["osl"], concurrency, lengths["max_num_batched_tokens"])
        name = engine_step(engine or "vllm").name
        layouts = LayoutSearch(architecture, card, count, load, name, (formats,), factors, concurrency)
        return serving_pools(layouts, prefill_pool, decode, terms, measured)
    ranks = tp or max(count // dp, 1)
    if ranks * dp % ep:
        raise InputError(f"must divide the {ranks * dp} GPUs, not {ep}", parameter="ep")
    mesh = Mesh(dp=dp, tp=ranks, ep=ep, etp=ranks * dp // ep)
    check_layout(card, mesh, count)
    steps = step_model(architecture, card, mesh, engine or "vllm", **formats)
    load = Load(lengths["isl"], lengths["osl"], concurrency, lengths["max_num_batched_tokens"])
    memory, free = free_memory(architecture, steps, gpu, tuple(formats.values()))
    time = serving_time(steps, load, free, factors)
    tpot, ttft = time_intervals(steps, time, measured)
    notes = [f"at most {load.chunk:,} tokens of prefill in a step"]
    if measured:
        notes.append(
            f"time per output token calibrated by {measured.n_rows:,} measurements: {measured.factors.summary}"
        )
    notes += [f"assumed, as no figure of this GPU is known: {text}" for text in steps.assumed]
    if memory is None:
        notes.append(f"{SHARE:.0%} of the memory is used, with {OTHER_BYTES / 1e9:g} GB beside weights and KV cache")
    if not time.capacity:
        notes.append("times assume that the weights fit")
    if time.capacity >= 1 and time.waiting > 0:
        notes.append("requests wait for KV cache, so that the time to the first token depends on the queue")

    def retry(change: Mapping[str, Any]) -> ServingResult:
        own: dict[str, Any] = {
            **lengths, **formats, "gpu": gpu, "concurrency": concurrency, "engine": engine, "tp": tp, "dp": dp,
            "ep": ep, "price": price, "calibration": calibration, "watts": watts, "api_price": api_price,
        }  # fmt: skip
        found = serving(architecture, **{**own, **change})
        assert isinstance(found, ServingResult)
        return found

    return ServingResult(
        model=architecture.name, accelerator=card, gpus=count, mesh=mesh, engine=steps.engine.name, load=load,
        time=time, tpot=tpot if load.osl > 1 else None, ttft=ttft if time.capacity >= 1 and time.waiting <= 0 else None,
        width=float(tpot.high / time.tpot_s), reasons=tpot.reasons, retry=retry,
        max_model_len=longest_request(architecture),
        kernels={f"{kind} {kernel}".strip(): f"{own.origin} {own.accelerator}".strip()
                 for (kind, kernel), own in steps.efficiencies.items()},
        architecture=architecture, price=terms.price, memory=memory, notes=tuple(notes), terms=terms,
    )  # fmt: skip


def _gpus(gpu: str) -> tuple[Accelerator, int]:
    found = read_gpus(gpu)
    if found.accelerator is None:
        raise InputError("needs the name of a GPU", parameter="gpu", hint="use a name such as h100:4")
    return found.accelerator, found.count or 1
