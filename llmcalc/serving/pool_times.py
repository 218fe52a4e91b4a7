"""Time of requests whose prefills and decode steps run on two pools of accelerators.

Each pool has replicas of a layout of its own. A replica of the first pool computes prefills alone, and sends the keys
and values of a prompt to a replica of the second pool, whose steps contain no prefill. The pools have the same requests
per second:

    requests per second = replicas · batch · accepted / ((osl - 1) · step)
    busy share of the first pool = requests per second · prefill / (replicas · prompts at once)
    ttft = server + wait + prefill + transfer

Prefills wait for one another as in a queue M/G/c: random arrivals, the service times of the classes of requests, and as
many servers as replicas [zhong2024]. Prompts that are computed at once divide the time of their step. The wait is that
of Sakasegawa's approximation [sakasegawa1977], which is exact for one server.

The first pool caches prefixes. It has no keys and values of answers, so it prefills the last answer of a conversation
again with the next turn. Tokens that the second pool has cached are not sent. With speculative decoding, the first pool
also computes the prefills of the draft, and a step of the second one is that of ``serving``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from ..core.arrays import Number, namespace
from ..core.record import NamedTuple
from ..data import table
from ..inputs.grid import numpy_module
from ..kernels.cost import StepTime
from .factors import Factors
from .money import decode_power
from .points import LoadTimes
from .request_times import Load, cache_space, plain_pool, request_room
from .start.pool import CachePool
from .step.draft_steps import Speculation, decode_step, drafted_prefill
from .step.step import StepModel, step_values

MOST_BUSY = 0.95  # share of the time in which a pool of prefills computes


class Prefills(NamedTuple):
    """Prefills of one replica of a pool. Several classes of requests are arrays, and so are several replicas.

    Attributes:
        alone_s: time of the prefill of one prompt.
        step_s: time of the prefill of as many prompts as a step has room for.
        prompts: number of these prompts on each rank with prompts of its own.
        ranks: number of these ranks.
        cache_bytes: keys and values of a prompt on one rank that are sent.
        server_s: seconds between a client and the engine.
    """

    alone_s: Number
    step_s: Number
    prompts: Number
    ranks: Number
    cache_bytes: Number
    server_s: Number


class Decodes(NamedTuple):
    """Decode steps of one replica of a pool.

    Attributes:
        batch: sequences on each data-parallel rank.
        capacity: sequences that run at once on each data-parallel rank.
        ranks: number of data-parallel ranks.
        step: time of a step.
        cache_bytes: keys and values of a prompt on one rank that are received, by class of requests.
        link: bytes per second between two accelerators of a node and between nodes, in one direction.
        accepted: output tokens of a sequence in a step, above 1 with speculative decoding.
    """

    batch: Number
    capacity: Number
    ranks: int
    step: StepTime
    cache_bytes: Number
    link: tuple[float, float]
    accepted: Number = 1


def prefills(
    model: StepModel,
    load: Load,
    pool: CachePool | None = None,
    speculation: Speculation | None = None,
    resident: Number | None = None,
) -> Prefills | None:
    """Return the time of prefills on a replica, or None if a prompt does not fit.

    ``resident`` is the number of tokens of a prompt that the second pool has cached (default: the cached ones).
    """
    xp = namespace(load.isl, load.cached)
    answers = xp.minimum(load.cached - load.shared, load.osl)  # of the last turn, which this pool has not computed
    cached = load.cached - answers
    new = xp.maximum(load.isl - cached, 1)
    pool = pool or plain_pool(model, cache_space(model))
    size = pool.bytes_of(load.isl) - pool.shared_bytes(load.shared)
    space = pool.space - xp.max(pool.shared_bytes(load.shared))
    if space < xp.max(size) or space <= 0:
        return None
    limit = load.limit(model)
    chunk = xp.minimum(new, limit)
    prompts = xp.minimum(xp.maximum(xp.floor(limit / new), 1), xp.floor(space / xp.maximum(size, 1.0)))
    keys = cached + (new + chunk) / 2  # a chunk sees half of the chunks before it
    alone, full = (
        new / chunk * drafted_prefill(model, speculation, step_values(n, chunk, keys)).seconds
        for n in (1.0, 1.0 * prompts)
    )
    sent = load if resident is None else load._replace(cached=resident)
    sent_bytes = _sent_bytes(model, sent, speculation)
    return Prefills(alone, full, prompts, model.mesh.dp, sent_bytes, model.engine.server_s)


def decodes(
    model: StepModel,
    load: Load,
    batch: Number,
    pool: CachePool | None = None,
    factors: Factors | None = None,
    speculation: Speculation | None = None,
    most: float = inf,
) -> Decodes:
    """Return the time of decode steps of a replica.

    ``batch`` is the mean number of sequences on each data-parallel rank, below 1 if there is none at times. ``most`` is
    the largest number of sequences that the settings allow.
    """
    wanted, keys = load.across_classes(batch), load.isl + load.osl / 2
    running = namespace(wanted).maximum(wanted, 1.0)  # a step has at least one sequence
    step = decode_step(model, speculation, running, keys)
    if load.shares is not None:
        step = step.each(lambda value: load.without_classes(load.mean_decoding(value)))
    pool = pool or plain_pool(model, cache_space(model))
    capacity = request_room(model, load._replace(concurrency=0.0), pool).capacity
    # not ``model.coefficients``, which would list the kernel for deployments without pools
    measured = model.measured.coefficients("collectives", model.accelerator.name, "all-gather", model.without)
    share = measured.values["link"]
    device = model.device.between(model.mesh.ranks + 1)  # and a GPU of the other pool
    return Decodes(
        batch, namespace(capacity).minimum(load.without_classes(capacity), most), model.mesh.dp,
        factors.scale(step, model.engine.step_s) if factors else step, _sent_bytes(model, load, speculation),
        (device.link * share, device.network * share), speculation.accepted if speculation else 1,
    )  # fmt: skip


def _sent_bytes(model: StepModel, load: Load, speculation: Speculation | None) -> Number:
    """Return the bytes of keys, values and states of a prompt on one rank that the second pool has not cached."""
    draft = speculation.draft if speculation else None
    return sum(plain_pool(each, 0.0).bytes_of(load.isl - load.cached) for each in (model, draft) if each)


def joined(found: Sequence[Prefills]) -> Prefills:
    """Return prefills of several replicas as arrays with a row for each, before the axis of classes if there is one."""
    if len(found) == 1:
        return found[0]
    numpy = numpy_module()
    own = [numpy.broadcast_arrays(one.alone_s, one.step_s, one.prompts, one.cache_bytes) for one in found]
    alone, step, prompts, sent = (numpy.stack(values)[:, None] for values in zip(*own, strict=True))
    ranks, server = (numpy.array([[getattr(one, name)] for one in found]) for name in ("ranks", "server_s"))
    return Prefills(alone, step, prompts, ranks, sent, server)


def pools_time(
    first: Prefills,
    second: Decodes,
    replicas: tuple[Number, Number],
    load: Load,
    *,
    same_node: Number,
    prefill_share: Number = 0.0,
) -> LoadTimes:
    """Return the times of requests on pools with these numbers of replicas. The numbers may be arrays.

    Requests run at once if they fit in the memory of the second pool and the first one is not saturated.

    Args:
        first: prefills.
        second: decode steps.
        replicas: numbers of replicas of the two pools.
        load: requests.
        same_node: whether fast links connect the two pools.
        prefill_share: share of the GPUs that are in the first pool.
    """
    n_first, n_second = replicas

    def mean(value: Number) -> Number:
        return load.without_classes(load.mean(value))

    tpot = second.step.seconds / second.accepted
    running = n_second * second.ranks * second.batch
    rate = running / ((mean(load.osl) - 1) * tpot)
    each = first.step_s / first.prompts
    service, servers = mean(each), n_first * first.ranks
    busy = rate * service / servers
    xp = namespace(busy, servers)
    below = xp.minimum(busy, 1 - 1e-9)
    spread = mean(each**2) / service**2  # 1 and the squared coefficient of variation of the service times
    wait = service / 2 * spread * below ** (xp.sqrt(2 * (servers + 1)) - 1) / (servers * (1 - below))
    alone, full = mean(first.alone_s), mean(first.step_s)
    own = alone + below * (full - alone)
    moved = namespace(first.cache_bytes).maximum(first.cache_bytes, second.cache_bytes)
    transfer = mean(moved) / namespace(servers).where(same_node, *second.link)
    ttft = first.server_s + wait + own + transfer
    return LoadTimes(
        running + rate * ttft, second.batch, (second.batch <= second.capacity) & (busy <= MOST_BUSY), tpot, ttft, rate,
        prefill_share, decode_power(second.step, table("serving_power")), second.step.seconds, busy, wait, transfer,
    )  # fmt: skip
