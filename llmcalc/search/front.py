"""Pareto front of serving: the most tokens per second of a GPU at each speed of a request, over all layouts."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from typing import Any, ClassVar

from ..core.architecture import Architecture
from ..core.evidence import FITTED
from ..core.record import record
from ..estimate.hardware import Accelerator
from ..inputs.models import Source
from ..serving.calibration import Calibration, Deployment
from ..serving.layout_result import LayoutResult
from ..serving.money import Terms
from ..serving.points import Point, excess, unbeaten
from ..serving.requests import Requests
from ..serving.speculation import Drafting
from .layouts import LayoutSearch, Placement, Times
from .serving_search import Layout, layout_at

GAIN = 1.03  # in tokens per second, of a point over the next faster one


@record
class ServingFront(LayoutResult):
    """Layouts and numbers of requests with the most tokens per second of a GPU at each speed of a request.

    Attributes:
        model: name of the model.
        accelerator: the GPU.
        gpus: number of GPUs.
        engine: serving engine.
        requests: lengths of the requests.
        limits: longest times in seconds, by name.
        points: layouts with a number of requests, those with the fastest requests first.
        fronts: fronts of groups of layouts by title, such as ``weights fp8``, as pairs of tokens per second of a
            request and of a GPU.
        tried: number of layouts and formats that were evaluated.
        terms: prices and power that the cost and the energy of tokens follow from.
        max_model_len: largest number of tokens of a request that the model allows, or None if unknown.
        closest: layout that comes closest to the limits if none meets them, or None.
        drafting: speculative decoding, or None.
        notes: assumptions.
        length_flag: setting that states ``max_model_len``, or empty if it is that of the model.
    """

    model: str
    accelerator: Accelerator
    gpus: int
    engine: str
    requests: Requests
    limits: Mapping[str, float]
    points: tuple[Layout, ...]
    fronts: Mapping[str, tuple[tuple[float, float], ...]]
    tried: int
    terms: Terms
    architecture: Architecture
    max_model_len: int | None
    closest: Layout | None = None
    drafting: Drafting | None = None
    notes: tuple[str, ...] = ()
    length_flag: str = ""

    EVIDENCE: ClassVar[Mapping[str, str]] = {"points": FITTED}

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        return {
            "engine": self.engine, "gpus": self.gpus, "limits": dict(self.limits), "tried": self.tried,
            "points": [one.to_dict(self.terms, self.isl, self.osl) for one in self.points],
            "fronts": {name: [list(pair) for pair in pairs] for name, pairs in self.fronts.items()},
            "evidence": self.evidence,
        }  # fmt: skip


def serving_front(
    model: Source,
    gpu: str,
    *,
    isl: int | str | None = None,
    osl: int | str | None = None,
    engine: str | None = None,
    weights: str | None = None,
    experts: str | None = None,
    attention_weights: str | None = None,
    cache: str | None = None,
    max_num_batched_tokens: int | str | None = None,
    price: float | None = None,
    sla: str | None = None,
    calibration: Calibration | str | os.PathLike[str] | None = None,
    watts: float | None = None,
    api_price: str | None = None,
    **settings: Any,
) -> ServingFront:
    """Find the most tokens per second of a GPU at each speed of a request.

    All layouts and numbers of requests are tried, and fp8 where no format is given.

    >>> import llmcalc
    >>> front = llmcalc.serving_front("llama3.1-8b", "h100:2", isl=1000, osl=500)
    >>> front.points[0].tokens_per_s_user > front.points[-1].tokens_per_s_user
    True

    Args:
        model: an architecture, or anything ``load`` reads.
        gpu: accelerator with an optional count, such as ``"h100:8"``.
        isl: input tokens of a request.
        osl: output tokens of a request.
        engine: serving engine (default: as for ``latency``).
        weights: number format of the weights (default: as published, and fp8 if the GPU computes in it).
        experts: number format of routed experts (default: ``weights``).
        attention_weights: number format of layers that mix tokens (default: ``weights``).
        cache: number format of keys and values (default: 16 bits, and fp8 if the GPU computes in it).
        max_num_batched_tokens: largest number of tokens of prefill in a step.
        price: US dollars per GPU-hour (default: quoted prices).
        sla: longest times, such as ``"ttft<2s"``, that all points keep.
        calibration: result of ``calibrate``, or its file.
        watts: measured power per GPU (default: by what kernels read and compute, from the rated power).
        api_price: US dollars per million input and output tokens of an API to compare with, such as ``"0.5/1.5"``.
        settings: further settings of ``serve``, such as ``mix``, ``turns``, ``prefix_share``, ``draft`` or
            ``max_num_seqs``.
    """
    from ..serving.point import serving

    given = {
        "engine": engine, "weights": weights, "experts": experts, "attention_weights": attention_weights,
        "cache": cache, "max_num_batched_tokens": max_num_batched_tokens, "price": price, "sla": sla,
        "calibration": calibration, "watts": watts, "api_price": api_price,
    }  # fmt: skip
    own: dict[str, Any] = {**{name: value for name, value in given.items() if value is not None}, **settings}
    found = serving(model, gpu, isl=isl, osl=osl, pareto=True, **own)
    assert isinstance(found, ServingFront)
    return found


def find_front(
    search: LayoutSearch, limits: Mapping[str, float], terms: Terms, measured: Deployment | None
) -> ServingFront:
    """Return the front of all layouts."""
    steps = front_steps(search, limits, terms, measured)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: ServingFront = end.value
            return found


def front_steps(
    search: LayoutSearch, limits: Mapping[str, float], terms: Terms, measured: Deployment | None
) -> Generator[int, None, ServingFront]:
    """Return the front of all layouts. Yield the number of layouts tried so far between pieces of work."""
    tried, osl = list[Times](), search.requests.mean("osl")
    for times in search.steps():
        tried += [times] if times else []
        yield len(tried)
    chosen = list(_front(tried, limits, osl))
    groups: dict[str, list[Times]] = {}
    for times in tried:
        groups.setdefault(_group(times), []).append(times)
    fronts = {name: tuple(pair for *_, pair in _front(own, limits, osl)) for name, own in groups.items()}
    return ServingFront(
        search.architecture.name, search.card, search.count, search.engine, search.requests, limits,
        tuple(layout_at(placement, point, search, measured) for placement, point, _ in chosen),
        {name: pairs for name, pairs in fronts.items() if pairs}, len(tried), terms, search.architecture,
        search.longest, None if chosen or not limits else _closest(tried, limits, search, measured),
        search.single.drafting, search.notes, search.length_flag,
    )  # fmt: skip


def _closest(
    tried: list[Times], limits: Mapping[str, float], search: LayoutSearch, measured: Deployment | None
) -> Layout | None:
    """Return the layout whose times exceed the limits least, or None if no request runs."""
    running = [(times.placement, point) for times in tried for point in times.points if point.runs]
    best = min(running, key=lambda pair: excess(pair[1], limits), default=None)
    return layout_at(*best, search, measured, is_kept=False) if best else None


def _group(times: Times) -> str:
    """Return the title of the group of a layout: its formats, and whether it has two pools."""
    formats = " ".join(f"{name} {own}" for name, own in times.placement.replica.formats.items() if own)
    return ", ".join(filter(None, (formats or "as published", "two pools" if times.placement.prefill else "")))


def _front(
    tried: list[Times], limits: Mapping[str, float], osl: float
) -> Iterator[tuple[Placement, Point, tuple[float, float]]]:
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
