"""Search for the layout with which a serving engine serves the most requests within limits on their times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, ClassVar

from ..calc.sharding import Mesh
from ..calc.touched_experts import expert_layers
from ..core.architecture import Architecture
from ..core.errors import InputError, LlmcalcError
from ..core.evidence import FITTED, of_architecture
from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from ..data import table
from ..estimate.hardware import Accelerator
from ..estimate.time.interval import Interval, time_interval
from ..estimate.time.serving import Load, ServingTime, serving_time
from ..estimate.time.step import StepModel
from ..estimate.training_run import Price
from .calibration import Deployment
from .engine_models import served_length
from .serving_memory import engine_title, free_memory
from .step_models import step_model

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
LIMIT = re.compile(r"\s*(ttft|tpot)\s*(?:<=?|=)\s*(\d+(?:\.\d+)?)\s*(us|ms|s)\s*", re.ASCII)
MOST = 4096  # requests of one replica
STEPS = 97  # numbers of requests that are tried
SHOWN = 8  # layouts
HOUR = 3600


@record
class Layout:
    """A layout of one replica with the most requests that meet the limits.

    Attributes:
        mesh: layout of a replica.
        replicas: number of replicas on all GPUs.
        concurrency: number of requests at any time, over all replicas.
        tpot_s: time per output token.
        ttft_s: time to the first token.
        tpot: interval of the time per output token.
        ttft: interval of the time to the first token.
        tokens_per_s_gpu: output tokens per second of one GPU.
        keeps_limits: whether the times are within the limits.
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

    @property
    def settings(self) -> dict[str, int]:
        """Sizes of the layout that differ from 1."""
        return {name: size for name in ("tp", "dp", "ep") if (size := getattr(self.mesh, name)) > 1}

    def usd_per_million_output(self, price: Price | None) -> tuple[float, float] | None:
        """Return the lowest and highest price of a million output tokens, with all cost charged to the output."""
        return token_prices(price, self.tokens_per_s_gpu, self.tpot.high / self.tpot_s)


@record
class ServingSearch(NotebookDisplay):
    """Layouts with which a serving engine meets limits on times, those with the most tokens per second first.

    Attributes:
        model: name of the model.
        accelerator: the GPU.
        gpus: number of GPUs.
        engine: serving engine.
        isl: input tokens of a request.
        osl: output tokens of a request.
        limits: longest times in seconds, by name.
        layouts: layouts that meet the limits. If there are none, those that come closest.
        price: price of one GPU in US dollars per hour, or None if unknown.
        max_model_len: largest number of tokens of a request that the model allows, or None if unknown.
    """

    model: str
    accelerator: Accelerator
    gpus: int
    engine: str
    isl: int
    osl: int
    limits: Mapping[str, float]
    layouts: tuple[Layout, ...]
    price: Price | None
    architecture: Architecture
    max_model_len: int | None

    EVIDENCE: ClassVar[Mapping[str, str]] = {"layouts": FITTED}

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of each value."""
        return of_architecture(self.EVIDENCE, self.architecture)

    @property
    def engine_title(self) -> str:
        """Name of the engine as its authors write it."""
        return engine_title(self.engine)

    @property
    def is_too_long(self) -> bool:
        """Whether a request has more tokens than the model allows."""
        return self.max_model_len is not None and self.isl + self.osl > self.max_model_len

    @property
    def is_found(self) -> bool:
        """Whether a layout meets the limits."""
        return bool(self.layouts and self.layouts[0].keeps_limits)

    @property
    def has_margin(self) -> bool:
        """Whether the intervals of the times of the first layout are within the limits."""
        return self.is_found and all(getattr(self.layouts[0], name).high <= most for name, most in self.limits.items())

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        layouts = [
            {
                **{name: getattr(one.mesh, name) for name in ("tp", "dp", "ep")}, "replicas": one.replicas,
                "concurrency": one.concurrency,
                **{f"{name}{end}_s": value for name in ("tpot", "ttft") for end, value in (
                    ("", getattr(one, f"{name}_s")), ("_low", float(getattr(one, name).low)),
                    ("_high", float(getattr(one, name).high)))},
                "tokens_per_s_gpu": one.tokens_per_s_gpu, "keeps_limits": one.keeps_limits,
                "usd_per_million_output": one.usd_per_million_output(self.price),
            }
            for one in self.layouts
        ]  # fmt: skip
        return {
            "engine": self.engine, "gpus": self.gpus, "limits": dict(self.limits), "is_found": self.is_found,
            "has_margin": self.has_margin,
            "layouts": layouts, "evidence": self.evidence,
        }  # fmt: skip


def read_limits(text: str) -> dict[str, float]:
    """Return the limits in seconds that a text such as ``ttft<300ms,tpot<10ms`` states. A ``=`` needs no quotes.

    >>> read_limits("ttft=300ms, tpot<0.01s")
    {'ttft': 0.3, 'tpot': 0.01}
    """
    found = {}
    for part in text.split(","):
        match = LIMIT.fullmatch(part)
        if match is None or float(match[2]) <= 0 or match[1] in found:
            hint = "use limits such as {sla=ttft<300ms,tpot<10ms}"
            raise InputError(f"invalid limit {part.strip()[:40]!r}", parameter="sla", hint=hint)
        found[match[1]] = float(match[2]) * UNITS[match[3]]
    return found


def search_layouts(
    architecture: Architecture,
    card: Accelerator,
    count: int,
    load: Load,
    limits: Mapping[str, float],
    engine: str,
    formats: Mapping[str, Any],
    price: Price | None,
    measured: Deployment | None = None,
) -> ServingSearch:
    """Return the layouts of ``count`` GPUs that meet the limits."""
    longest = longest_request(architecture)
    is_too_long = longest is not None and load.isl + load.osl > longest
    found = [
        one
        for mesh in (() if is_too_long else _meshes(architecture, count))
        if (one := _fastest(architecture, card, count, mesh, load, limits, engine, formats, measured)) is not None
    ]
    kept = [one for one in found if one.keeps_limits]
    ordered = sorted(kept, key=lambda one: -one.tokens_per_s_gpu) or sorted(found, key=lambda one: _excess(one, limits))
    return ServingSearch(
        architecture.name, card, count, engine, load.isl, load.osl, limits, tuple(ordered[:SHOWN]), price, architecture,
        longest,
    )  # fmt: skip


def longest_request(architecture: Architecture) -> int | None:
    """Return the largest number of tokens of a request that the model allows, or None if unknown."""
    with suppress(InputError):
        return served_length(architecture)
    return None


def _meshes(architecture: Architecture, count: int) -> Iterator[Mesh]:
    has_experts = any(True for _ in expert_layers(architecture))
    size = 1
    while size <= count:
        yield Mesh(tp=size)
        if has_experts and size > 1:
            yield Mesh(tp=size, ep=size, etp=1)
            yield Mesh(dp=size, ep=size, etp=1)
        size *= 2


def _fastest(
    architecture: Architecture, card: Accelerator, count: int, mesh: Mesh, load: Load, limits: Mapping[str, float],
    engine: str, formats: Mapping[str, Any], measured: Deployment | None,
) -> Layout | None:  # fmt: skip
    """Return a layout with the most requests that meet the limits, or with one request, or None if it does not fit."""
    import numpy as np

    ranks = mesh.tp * mesh.dp
    try:
        steps = step_model(architecture, card, mesh, engine, **formats)
        _, free = free_memory(architecture, steps, f"{card.name}:{ranks}", tuple(formats.values()))
        requests = mesh.dp * np.unique(np.geomspace(1, MOST, STEPS).round())
        time = serving_time(
            steps, Load(load.isl, load.osl, requests, load.chunk), free, measured.factors if measured else None
        )
    except LlmcalcError:  # ranks that do not divide the model
        return None
    runs = (time.capacity >= 1) & (time.waiting <= 0)
    if not runs.any():
        return None
    times = {"tpot": time.tpot_s, "ttft": time.ttft_s}
    keeps = runs & np.all([times[name] <= limit for name, limit in limits.items()], axis=0)
    per_gpu = time.requests_per_s * load.osl / ranks
    place = int(np.argmax(np.where(keeps, per_gpu, 0))) if keeps.any() else int(np.argmax(runs))
    replicas = count // ranks
    tpot, ttft = (
        Interval(float(own.low[place]), float(own.high[place]), own.reasons)
        for own in time_intervals(steps, time, measured)
    )
    return Layout(
        mesh, replicas, float(requests[place]) * replicas, float(time.tpot_s[place]), float(time.ttft_s[place]),
        tpot, ttft, float(per_gpu[place]), bool(keeps.any()),
    )  # fmt: skip


def _excess(one: Layout, limits: Mapping[str, float]) -> float:
    times = {"tpot": one.tpot_s, "ttft": one.ttft_s}
    return max(times[name] / limit for name, limit in limits.items())


def time_intervals(
    steps: StepModel, time: ServingTime, measured: Deployment | None = None
) -> tuple[Interval, Interval]:
    """Return the intervals of the time per output token, which measurements narrow, and to the first token."""
    errors, used = table("time_errors"), steps.efficiencies.values()
    unknown = "" if steps.engine.is_known else steps.engine.name
    tpot, ttft = (
        time_interval(seconds, errors[name], used, unknown, rows)
        for name, seconds, rows in (("tpot", time.tpot_s, measured.n_rows if measured else 0), ("ttft", time.ttft_s, 0))
    )
    return tpot, ttft


def token_prices(price: Price | None, tokens_per_s: float, width: float) -> tuple[float, float] | None:
    """Return the lowest and highest price of a million tokens in US dollars.

    Args:
        price: price of a GPU.
        tokens_per_s: estimated tokens per second of a GPU.
        width: ratio of an end of the interval of the time to the estimate.
    """
    if price is None:
        return None
    hours = 1e6 / tokens_per_s / HOUR
    return price.low * hours / width, price.high * hours * width
