"""Time of requests whose prefills and decode steps run on two pools of accelerators.

Each pool has replicas of a layout of its own. A replica of the first pool computes prefills alone, and sends the keys
and values of a prompt to a replica of the second pool, whose steps contain no prefill. The pools have the same requests
per second:

    requests per second = replicas · batch / ((osl - 1) · step)
    busy share of the first pool = requests per second · prefill / (replicas · prompts at once)
    ttft = wait + prefill + transfer

Prefills wait for one another as in a queue M/D/c: random arrivals, equal service times and as many servers as replicas
[zhong2024]. Prompts that are computed at once divide the time of their step. The wait is that of Sakasegawa's
approximation [sakasegawa1977], which is exact for one server.
"""

from __future__ import annotations

from typing import NamedTuple

from .arrays import Number, namespace
from .calibration import Factors
from .cost import StepTime
from .serving import Load, cache_bytes, cache_space
from .step import StepModel, step_values


class Prefills(NamedTuple):
    """Prefills of one replica of a pool.

    Attributes:
        alone_s: time of the prefill of one prompt.
        step_s: time of the prefill of as many prompts as a step has room for.
        prompts: number of these prompts on each rank with prompts of its own.
        ranks: number of these ranks.
        cache_bytes: keys and values of a prompt on one rank.
    """

    alone_s: float
    step_s: float
    prompts: int
    ranks: int
    cache_bytes: float


class Decodes(NamedTuple):
    """Decode steps of one replica of a pool.

    Attributes:
        batch: sequences on each data-parallel rank.
        capacity: sequences whose keys and values fit on each data-parallel rank.
        ranks: number of data-parallel ranks.
        step: time of a step.
        cache_bytes: keys and values of a prompt on one rank.
        link: bytes per second between two accelerators of a node and between nodes, in one direction.
    """

    batch: Number
    capacity: float
    ranks: int
    step: StepTime
    cache_bytes: float
    link: tuple[float, float]


class PoolsTime(NamedTuple):
    """Time of requests on two pools.

    Attributes:
        concurrency: requests at any time, in both pools.
        busy: share of the time in which the first pool computes. From 1 on, the pools cannot have equal rates.
        wait_s: time that a prompt waits for other prefills.
        prefill_s: time of its own prefill.
        transfer_s: time to send its keys and values.
        ttft_s: time to the first token.
        tpot_s: time per output token after the first.
        requests_per_s: requests per second.
    """

    concurrency: Number
    busy: Number
    wait_s: Number
    prefill_s: Number
    transfer_s: float
    ttft_s: Number
    tpot_s: Number
    requests_per_s: Number


def prefills(model: StepModel, load: Load, free: float | None = None) -> Prefills | None:
    """Return the time of prefills on a replica, or None if a prompt does not fit."""
    size = cache_bytes(model, load.isl)
    space = cache_space(model) if free is None else free
    if space < size or space <= 0:
        return None
    limit = load.limit(model)
    chunk = min(load.isl, limit)
    room = int(max(limit // load.isl, 1))
    prompts = min(room, int(space / size)) if size else room
    keys = (load.isl + chunk) / 2  # a chunk sees half of the chunks before it
    alone, full = (
        load.isl / chunk * model.step(None, step_values(float(n), chunk, keys), scheduled=True).seconds
        for n in (1, prompts)
    )
    return Prefills(float(alone), float(full), prompts, model.mesh.dp, float(size))


def decodes(
    model: StepModel, load: Load, batch: Number, free: float | None = None, factors: Factors | None = None
) -> Decodes:
    """Return the time of decode steps of a replica.

    ``batch`` is the mean number of sequences on each data-parallel rank, below 1 if there is none at times.
    """
    needed = max(cache_bytes(model, load.isl + load.osl), 1.0)
    xp = namespace(batch)  # a step has at least one sequence
    step = model.step(step_values(xp.maximum(batch, 1.0), 1.0, load.isl + load.osl / 2), scheduled=True)
    share = model.coefficients("collectives", "all-gather")["link"]
    space = cache_space(model) if free is None else free
    return Decodes(
        batch, max(space, 0.0) / needed, model.mesh.dp, factors.scale(step, model.engine.step_s) if factors else step,
        float(cache_bytes(model, load.isl)), (model.device.link * share, model.device.network * share),
    )  # fmt: skip


def pools_time(
    first: Prefills, second: Decodes, replicas: tuple[Number, Number], osl: Number, *, same_node: bool
) -> PoolsTime:
    """Return the time of requests on pools with these numbers of replicas. The numbers may be arrays.

    Args:
        first: prefills.
        second: decode steps.
        replicas: numbers of replicas of the two pools.
        osl: output tokens of a request.
        same_node: whether fast links connect the two pools.
    """
    n_first, n_second = replicas
    tpot = second.step.seconds
    running = n_second * second.ranks * second.batch
    rate = running / ((osl - 1) * tpot)
    servers = n_first * first.ranks
    busy = rate * first.step_s / (servers * first.prompts)
    xp = namespace(busy, servers)
    below = xp.minimum(busy, 1 - 1e-9)
    service = first.step_s / first.prompts
    wait = service / 2 * below ** (xp.sqrt(2 * (servers + 1)) - 1) / (servers * (1 - below))
    own = first.alone_s + below * (first.step_s - first.alone_s)
    transfer = max(first.cache_bytes, second.cache_bytes) / second.link[0 if same_node else 1]
    ttft = wait + own + transfer
    return PoolsTime(running + rate * ttft, busy, wait, own, transfer, ttft, tpot, rate)
