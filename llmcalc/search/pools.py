"""Times of requests on a given division of the GPUs: a pool that computes prefills alone, and a pool that decodes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from ..calc.sharding import Mesh
from ..core.errors import InputError
from ..core.evidence import FITTED
from ..core.record import changed, record
from ..serving.point import Point, point_at
from ..serving.points import between
from ..serving.pool_times import MOST_BUSY
from ..serving.replicas import SIZES, Formats, Replica
from ..serving.service import Service
from .result import SpaceResult
from .space import Space, powers

POOL = r"(?a)(\d{1,5})x((?:(?:tp|dp|ep)\d{1,5})*)"
SIZE = r"(tp|dp|ep)(\d+)"
HINT = "use a number of replicas and their layout, such as {prefill_pool=2xtp2} or {prefill_pool=1xdp8ep8}"


@record
class ServingPools(SpaceResult):
    """Times of requests on two pools of GPUs.

    Attributes:
        layout: both pools with their times, or None if not all requests run.
        most: largest number of requests of which none waits for memory or for a saturated pool of prefills.
        limit: what limits this number: ``prefills``, ``KV cache`` or ``memory``.
        suggested: point on the same GPUs with the most tokens per second if not all requests run, or None.
    """

    layout: Point | None
    most: int
    limit: str
    suggested: Point | None = None

    EVIDENCE: ClassVar[Mapping[str, str]] = {"layout": FITTED}

    @property
    def concurrency(self) -> float:
        """Number of requests at any time."""
        return self.space.only or 1

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        return {
            "engine": self.engine, "gpus": self.gpus, "concurrency": self.concurrency, "most": self.most,
            "limit": self.limit, "layout": self.layout and self.layout.to_dict(), "evidence": self.evidence,
        }  # fmt: skip


def read_pool(text: str) -> tuple[int, Mesh]:
    """Return the number of replicas and the layout of a pool.

    >>> count, mesh = read_pool("2xtp4")
    >>> count, mesh.tp
    (2, 4)
    """
    match = re.fullmatch(POOL, text.strip().lower().replace(" ", ""))
    sizes = re.findall(SIZE, match[2]) if match else []
    own = {name: int(size) for name, size in sizes}
    if match is None or int(match[1]) < 1 or len(own) < len(sizes) or not all(own.values()):
        raise InputError(f"invalid pool {text.strip()[:40]!r}", parameter="prefill_pool", hint=HINT)
    tp, dp, ep = (own.get(name, 1) for name in ("tp", "dp", "ep"))
    if tp * dp % ep:
        raise InputError(f"ep must divide the {tp * dp} GPUs of a replica, not {ep}", parameter="prefill_pool")
    return int(match[1]), Mesh(tp=tp, dp=dp, ep=ep, etp=tp * dp // ep)


def serving_pools(space: Space, pool: str, mesh: Mesh | None) -> ServingPools:
    """Return the times on a pool of prefills, such as ``2xtp2``, and replicas that decode on the other GPUs.

    Args:
        space: the service, and the number of requests.
        pool: number of replicas of the pool that computes prefills, and their layout.
        mesh: layout of a replica that decodes (default: the most tensor-parallel ranks that divide the other GPUs).
    """
    (number, first_mesh), count = read_pool(pool), space.service.count
    rest = count - number * first_mesh.tp * first_mesh.dp
    if not space.can_disaggregate:
        raise _refusal(space.service)
    mesh = mesh or Mesh(tp=max(size for size in powers(max(rest, 1)) if rest % size == 0))
    others, unused = divmod(rest, mesh.tp * mesh.dp)
    if rest < 1 or others < 1 or unused:
        used = f"{count - rest} of {count} GPUs"
        left = f"{max(rest, 0)} are left for replicas of {mesh.tp * mesh.dp} GPUs that decode"
        hint = f"{left}; change {{gpu}}, {{tp}} or {{dp}}"
        raise InputError(f"takes {used}", parameter="prefill_pool", hint=hint)
    (formats,) = space.formats
    first, second = _read(space, first_mesh, formats, "prefill_pool"), _read(space, mesh, formats, "tp")
    found, most, limit = None, 0, "memory"
    if not space.service.too_long:
        found, most, limit = _times(space, (first, second), (number, others))
    suggested = None if found else space.best(space.times(), lambda one: -one.requests_per_s)
    return ServingPools(space, second.drafting, space.notes, found, most, limit, suggested)


def _read(space: Space, mesh: Mesh, formats: Formats, layout: str) -> Replica:
    """Return a replica whose layout is a setting."""
    try:
        return space.read(mesh, formats)
    except InputError as error:
        if error.parameter not in (*SIZES, ""):
            raise
        text = "the model does not allow this layout"
        raise InputError(text, parameter=layout, hint="use other sizes") from None


def _refusal(service: Service) -> InputError:
    """Return the error for GPUs, requests or an engine without two pools."""
    if service.count < 2:
        text, hint = f"needs at least 2 GPUs, not {service.count}", f"use {{gpu={service.card.name}:2}}"
    elif service.requests.mean("osl") <= 1:
        text, hint = "needs at least 2 output tokens, as the first one is that of the prefill", "use {osl=2}"
    else:
        text, hint = f"needs an engine with two pools, not {service.engine}", "use {engine=vllm}"
    return InputError(text, parameter="prefill_pool", hint=hint)


def _times(space: Space, pools: tuple[Replica, Replica], counts: tuple[int, int]) -> tuple[Point | None, int, str]:
    """Return the layout with its times, the largest number of requests, and what limits it."""
    first, second = pools
    own = space.prefills(first)
    if own is None:
        return None, 0, "memory"
    (whole,) = changed(space, only=None).pools(second, [(first, own, counts)])
    running = [point for point in whole.points if point.runs]
    blocked = next((point for point in whole.points if not point.runs), None)
    limit = "prefills" if blocked and blocked.busy > MOST_BUSY else "KV cache"
    if not running:
        return None, 0, limit
    point = between(whole.points, space.only or 1)
    layout = point_at(whole.placement, point, space.service) if point.runs else None
    return layout, int(running[-1].concurrency), limit
