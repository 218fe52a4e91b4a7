"""Throughput of encoders, such as embedders and rerankers, that a serving engine runs in batches of whole sequences."""

from __future__ import annotations

from typing import Any, ClassVar

from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.evidence import FITTED
from ..core.notebook_display import NotebookDisplay
from ..core.printable import three_digits
from ..core.record import record
from ..core.setting import SIZE, Setting, check_values, read_length
from ..engines.hardware import default_engine
from ..engines.served_models import check_model
from ..estimate.hardware import Accelerator
from ..estimate.prices import Price, price_of
from ..inputs.gpus import read_gpus
from .latency import batch_latency
from .latency_times import PREFILL, Latency
from .money import token_prices
from .replicas import sizes_of
from .step.step_models import engine_step

SETTINGS = (
    Setting("concurrency", float, above=0),
    Setting("price", float, above=0),
    Setting("isl", SIZE, least=1),
    Setting("max_num_batched_tokens", SIZE, least=1),
)
PARAMETERS = (
    "isl", "concurrency", "max_num_batched_tokens", "price", "tp", "dp", "weights", "attention_weights", "engine",
)  # fmt: skip


@record
class EncoderServing(NotebookDisplay):
    """Throughput of an encoder under a constant number of requests, each of one sequence.

    Attributes:
        isl: tokens of a sequence.
        concurrency: number of requests at any time.
        batch: sequences of one forward pass over all GPUs.
        step: time of this forward pass.
        price: price of one GPU in US dollars per hour, or None if unknown.
        max_num_batched_tokens: largest number of tokens of a forward pass of one rank.
        is_concurrency_assumed: whether one request at a time is the default.
    """

    isl: int
    concurrency: float
    batch: int
    step: Latency
    price: Price | None
    max_num_batched_tokens: int
    is_concurrency_assumed: bool = False

    EVIDENCE: ClassVar[dict[str, str]] = dict.fromkeys(("requests_per_s", "tokens_per_s", "latency_s"), FITTED)

    @property
    def architecture(self) -> Architecture:
        """The model."""
        return self.step.architecture

    @property
    def accelerator(self) -> Accelerator:
        """The GPU."""
        return self.step.accelerator

    @property
    def fits(self) -> bool:
        """Whether the model and a batch fit in the memory."""
        return self.step.fits

    @property
    def engine(self) -> str:
        """Name of the serving engine."""
        return self.step.model.engine.name

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the layout that differ from 1."""
        return sizes_of(self.step.model.mesh)

    @property
    def used(self) -> int:
        """Number of GPUs that the layout uses."""
        return self.step.model.mesh.ranks

    @property
    def excess(self) -> str:
        """That a sequence has more tokens than the model accepts, if the engine accepts it, or empty."""
        return self.step.excess

    @property
    def requests_per_s(self) -> float:
        """Sequences per second over all GPUs."""
        return self.step.sequences_per_s

    @property
    def tokens_per_s(self) -> float:
        """Tokens per second over all GPUs."""
        return self.step.tokens_per_s

    @property
    def latency_s(self) -> float:
        """Time of a request, which waits for the batches before its own, by Little's law."""
        return self.concurrency / self.requests_per_s

    @property
    def width(self) -> float:
        """Ratio of an end of the interval of 80 % to the estimate."""
        return self.step.high / self.step.seconds

    @property
    def usd_per_million(self) -> tuple[float, float] | None:
        """Lowest and highest price of a million tokens in US dollars."""
        return token_prices(self.price, self.tokens_per_s / self.used, self.width)

    @property
    def summary(self) -> str:
        """Answer in one line."""
        if self.step.too_long:
            return self.step.length_refusal("isl", self.isl)
        if not self.fits:
            return f"Does not fit: a batch of {self.batch:,} sequences on {self.used} × {self.accelerator.title}"
        low, high = (self.requests_per_s * factor for factor in (1 / self.width, self.width))
        rates = f"{three_digits(self.requests_per_s)} sequences/s ({three_digits(low)} to {three_digits(high)})"
        return f"{rates}, {three_digits(self.tokens_per_s)} tokens/s, {self.latency_s * 1e3:,.3g} ms per request"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        mesh = {name: getattr(self.step.model.mesh, name) for name in ("tp", "dp")}
        rates = ("requests_per_s", "tokens_per_s", "latency_s", "usd_per_million")
        running = self.batch * self.fits
        names = ("isl", "concurrency", "max_num_batched_tokens", "batch", *rates, "width", "fits", "evidence")
        return {
            "model": self.architecture.name, "gpu": self.accelerator.name, "gpus": self.step.count, **mesh,
            "engine": self.engine, **self.attributes(*names),
            **({} if self.fits else dict.fromkeys(rates)), "reason": "" if self.fits else self.summary,
            "width_reasons": list(self.step.interval.reasons),
            "gpus_used": self.used, "requests_running": running, "requests_waiting": self.concurrency - running,
        }  # fmt: skip


def encoder_serving(
    architecture: Architecture,
    gpu: str,
    *,
    isl: int | str,
    concurrency: float | None = None,
    max_num_batched_tokens: int | str | None = None,
    price: float | None = None,
    tp: int | None = None,
    dp: int | None = None,
    **settings: Any,
) -> EncoderServing:
    """Estimate the throughput of an encoder with a constant number of requests.

    A forward pass reads whole sequences, as many as run at once and have at most ``max_num_batched_tokens`` tokens. By
    default, each GPU has different sequences.

    >>> import llmcalc
    >>> result = encoder_serving(llmcalc.load("bert"), "h100", isl=128, concurrency=64)
    >>> result.batch, result.latency_s * result.requests_per_s
    (64, 64.0)

    Args:
        architecture: the model.
        gpu: accelerator with an optional count, such as ``"h100:4"``.
        isl: tokens of a sequence.
        concurrency: number of requests at any time (default: 1).
        max_num_batched_tokens: largest number of tokens of a forward pass of one rank (default: usual in engines).
        price: US dollars per GPU-hour (default: quoted prices).
        tp: number of tensor-parallel ranks (default: 1, or all GPUs that ``dp`` leaves).
        dp: number of ranks that have different sequences (default: all GPUs that ``tp`` leaves).
        settings: other parameters of ``latency``, such as ``weights`` and ``engine``.

    Raises:
        InputError: a sequence longer than a forward pass or the model allows, or an invalid setting.
    """
    gpus = read_gpus(gpu)
    engine = settings.get("engine") or default_engine(architecture, gpus.accelerator, settings.get("weights")).name
    check_model(engine, architecture)
    tokens = engine_step(engine).chunk if max_num_batched_tokens is None else max_num_batched_tokens
    length, most = read_length(isl, "isl"), read_length(tokens, "max_num_batched_tokens")
    check_values(SETTINGS, {"isl": length, "max_num_batched_tokens": most, "concurrency": concurrency, "price": price})
    if length > most:
        hint = f"use {{max_num_batched_tokens={length}}} or shorter sequences"
        raise InputError(f"{length:,} tokens exceed the {most:,} of a forward pass", parameter="isl", hint=hint)
    if dp is None:
        dp = max((gpus.count or 1) // (tp or 1), 1)
    is_assumed, concurrency = concurrency is None, concurrency or 1
    each = max(min(-int(-concurrency // dp), most // length), 1)
    batch = min(each * dp, max(-int(-concurrency // 1), dp))
    step = batch_latency(
        architecture, gpu, {"mode": PREFILL, "batch": batch, "seq": length, "tp": tp, "dp": dp, **settings}
    )
    return EncoderServing(
        length, max(concurrency, batch), batch, step, price_of(step.accelerator, price), most, is_assumed
    )
