"""Times of requests on a given division of the GPUs: a pool that computes prefills alone, and a pool that decodes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.evidence import FITTED
from ..core.record import changed, record
from ..estimate.hardware import Accelerator
from ..serving.calibration import Deployment
from ..serving.layout_result import LayoutResult
from ..serving.money import Terms
from ..serving.points import between
from ..serving.replicas import Replica
from ..serving.requests import Requests
from ..serving.speculation import Drafting
from .layouts import MOST_BUSY, LayoutSearch, powers
from .serving_search import Layout, layout_at

POOL = re.compile(r"(\d{1,5})x((?:(?:tp|dp|ep)\d{1,5})*)", re.ASCII)
SIZE = re.compile(r"(tp|dp|ep)(\d+)")
HINT = "use a number of replicas and their layout, such as {prefill_pool=2xtp2} or {prefill_pool=1xdp8ep8}"


@record
class ServingPools(LayoutResult):
    """Times of requests on two pools of GPUs.

    Attributes:
        model: name of the model.
        accelerator: the GPU.
        gpus: number of GPUs.
        engine: serving engine.
        requests: lengths of the requests.
        concurrency: number of requests at any time.
        layout: both pools with their times, or None if not all requests run.
        most: largest number of requests of which none waits for memory or for a saturated pool of prefills.
        limit: what limits this number: ``prefills``, ``KV cache`` or ``memory``.
        terms: prices and power that the cost and the energy of tokens follow from.
        max_model_len: largest number of tokens of a request that the model allows, or None if unknown.
        drafting: speculative decoding, or None.
        suggested: layout of the same GPUs with the most tokens per second if not all requests run, or None.
        notes: assumptions.
        length_flag: setting that states ``max_model_len``, or empty if it is that of the model.
    """

    model: str
    accelerator: Accelerator
    gpus: int
    engine: str
    requests: Requests
    concurrency: float
    layout: Layout | None
    most: int
    limit: str
    terms: Terms
    architecture: Architecture
    max_model_len: int | None
    drafting: Drafting | None = None
    suggested: Layout | None = None
    notes: tuple[str, ...] = ()
    length_flag: str = ""

    EVIDENCE: ClassVar[Mapping[str, str]] = {"layout": FITTED}

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        layout = self.layout and self.layout.to_dict(self.terms, self.isl, self.osl)
        return {
            "engine": self.engine, "gpus": self.gpus, "concurrency": self.concurrency, "most": self.most,
            "limit": self.limit, "layout": layout, "evidence": self.evidence,
        }  # fmt: skip


def read_pool(text: str) -> tuple[int, Mesh]:
    """Return the number of replicas and the layout of a pool.

    >>> count, mesh = read_pool("2xtp4")
    >>> count, mesh.tp
    (2, 4)
    """
    match = POOL.fullmatch(text.strip().lower().replace(" ", ""))
    sizes = SIZE.findall(match[2]) if match else []
    own = {name: int(size) for name, size in sizes}
    if match is None or int(match[1]) < 1 or len(own) < len(sizes) or not all(own.values()):
        raise InputError(f"invalid pool {text.strip()[:40]!r}", parameter="prefill_pool", hint=HINT)
    tp, dp, ep = (own.get(name, 1) for name in ("tp", "dp", "ep"))
    if tp * dp % ep:
        raise InputError(f"ep must divide the {tp * dp} GPUs of a replica, not {ep}", parameter="prefill_pool")
    return int(match[1]), Mesh(tp=tp, dp=dp, ep=ep, etp=tp * dp // ep)


def serving_pools(
    search: LayoutSearch, pool: str, mesh: Mesh | None, terms: Terms, measured: Deployment | None
) -> ServingPools:
    """Return the times on a pool of prefills, such as ``2xtp2``, and replicas that decode on the other GPUs.

    Args:
        search: GPUs, requests and formats.
        pool: number of replicas of the pool that computes prefills, and their layout.
        mesh: layout of a replica that decodes (default: the most tensor-parallel ranks that divide the other GPUs).
        terms: prices and power.
        measured: measured deployment.
    """
    number, first_mesh = read_pool(pool)
    rest = search.count - number * first_mesh.tp * first_mesh.dp
    if not search.can_disaggregate:
        raise _refusal(search)
    mesh = mesh or Mesh(tp=max(size for size in powers(max(rest, 1)) if rest % size == 0))
    others, unused = divmod(rest, mesh.tp * mesh.dp)
    if rest < 1 or others < 1 or unused:
        used = f"{search.count - rest} of {search.count} GPUs"
        left = f"{max(rest, 0)} are left for replicas of {mesh.tp * mesh.dp} GPUs that decode"
        hint = f"{left}; change {{gpu}}, {{tp}} or {{dp}}"
        raise InputError(f"takes {used}", parameter="prefill_pool", hint=hint)
    (formats,) = search.formats
    first, second = search.replica(first_mesh, formats), search.replica(mesh, formats)
    if first is None or second is None:
        layout = "prefill_pool" if first is None else "tp"
        raise InputError("the model does not allow this layout", parameter=layout, hint="use other sizes")
    found, most, limit = None, 0, "memory"
    if search.longest is None or search.requests.longest <= search.longest:
        found, most, limit = _times(search, (first, second), (number, others), measured)
    return ServingPools(
        search.architecture.name, search.card, search.count, search.engine, search.requests, search.only or 1, found,
        most, limit, terms, search.architecture, search.longest, second.drafting,
        None if found else _suggested(changed(search, only=search.only or 1), measured), search.notes,
        search.length_flag,
    )  # fmt: skip


def _suggested(search: LayoutSearch, measured: Deployment | None) -> Layout | None:
    """Return the layout with the most tokens per second on which all requests run, or None."""
    running = [(times.placement, point) for times in search.times() for point in times.points if point.runs]
    best = max(running, key=lambda pair: pair[1].requests_per_s, default=None)
    return layout_at(*best, search, measured) if best else None


def _refusal(search: LayoutSearch) -> InputError:
    """Return the error for GPUs, requests or an engine without two pools."""
    if search.count < 2:
        text, hint = f"needs at least 2 GPUs, not {search.count}", f"use {{gpu={search.card.name}:2}}"
    elif search.requests.mean("osl") <= 1:
        text, hint = "needs at least 2 output tokens, as the first one is that of the prefill", "use {osl=2}"
    else:
        text, hint = f"needs an engine with two pools, not {search.engine}", "use {engine=vllm}"
    return InputError(text, parameter="prefill_pool", hint=hint)


def _times(
    search: LayoutSearch, pools: tuple[Replica, Replica], counts: tuple[int, int], measured: Deployment | None
) -> tuple[Layout | None, int, str]:
    """Return the layout with its times, the largest number of requests, and what limits it."""
    first, second = pools
    own = search.prefills(first)
    if own is None:
        return None, 0, "memory"
    (whole,) = changed(search, only=None).pools(second, [(first, own, counts)])
    running = [point for point in whole.points if point.runs]
    blocked = next((point for point in whole.points if not point.runs), None)
    limit = "prefills" if blocked and blocked.busy > MOST_BUSY else "KV cache"
    if not running:
        return None, 0, limit
    point = between(whole.points, search.only or 1)
    layout = layout_at(whole.placement, point, search, measured) if point.runs else None
    return layout, int(running[-1].concurrency), limit
