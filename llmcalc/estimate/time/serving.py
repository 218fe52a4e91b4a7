"""Time per output token and time to the first token of a serving engine under load, from the times of single steps.

An engine with a constant number of requests computes steps that decode a batch. Each new request adds chunks of prefill
to some of these steps. While a request decodes, in ``osl - 1`` steps, each of the other requests of the batch ends and
is replaced once, and its prefill adds time to steps:

    added = mixed(batch, chunk) - decode(batch)
    tpot = decode(batch) + (batch - 1) / (osl - 1) · chunks · added

A step adds no more than its largest number of tokens of prefill. Prefills that exceed it delay the first token. A
request leaves after its own prefill, its decode steps and the prefills of the others, so that the requests per second
are:

    batch / (own prefill + (osl - 1) · decode(batch) + (batch - 1) · chunks · added)

The batch is the number of requests, or as many as the KV cache can hold. Requests beyond it wait, for a time that
depends on the queue, so that the time to the first token is undefined.
"""

from __future__ import annotations

from typing import NamedTuple

from ...core.record import record
from .arrays import Number, namespace
from .calibration import Factors
from .cost import StepTime
from .operations import Attention
from .step import DECODE, StepModel

CHUNK = 8192  # tokens of prefill in a step
SHARE = 0.9  # of the memory that an engine uses, if its own rule is unknown
OTHER_BYTES = 2.5e9  # activations, CUDA graphs and the memory of libraries of such an engine


class Load(NamedTuple):
    """Requests that an engine serves at once.

    Attributes:
        isl: input tokens of a request.
        osl: output tokens of a request.
        concurrency: number of requests at any time, over all replicas of attention.
        chunk: largest number of tokens of prefill in a step.
    """

    isl: Number
    osl: Number
    concurrency: Number
    chunk: Number = CHUNK


@record
class ServingTime:
    """Time of requests.

    Attributes:
        batch: running requests on each data-parallel rank.
        capacity: requests whose keys and values fit on each data-parallel rank (0: the weights do not fit).
        waiting: requests that wait for memory on each data-parallel rank.
        tpot_s: time per output token after the first. A request with one output token has none, and the value has no
            meaning.
        prefill_s: time of the prefill of one request, in steps that also decode.
        ttft_s: time to the first token, with the wait for prefills of other requests.
        requests_per_s: requests per second of all data-parallel ranks.
        prefill_share: share of ``tpot_s`` that prefills of other requests add.
        step: decode step of the batch.
    """

    batch: Number
    capacity: Number
    waiting: Number
    tpot_s: Number
    prefill_s: Number
    ttft_s: Number
    requests_per_s: Number
    prefill_share: Number
    step: StepTime


def cache_bytes(model: StepModel, tokens: Number) -> Number:
    """Return the bytes of the keys and values of one sequence on one rank."""
    values = {**step_values(1.0, 1.0, tokens), "s": tokens}
    found: Number = 0.0
    for phases, _ in model.paired:
        operation = phases.get(DECODE)
        if isinstance(operation, Attention):
            keys = operation.pairs(**values)
            found = found + operation.count * keys * operation.key_elements * model.cache_bytes
    return found


def weight_bytes(model: StepModel) -> float:
    """Return the bytes of the weights that a decode step reads on one rank."""
    return sum(phases[DECODE].count * size for phases, size in model.paired if DECODE in phases)


def cache_space(model: StepModel) -> float:
    """Return the bytes that an engine without a known rule has for keys and values on one rank."""
    return model.accelerator.usable_bytes * SHARE - weight_bytes(model) - OTHER_BYTES


def serving_time(
    model: StepModel, load: Load, free: float | None = None, factors: Factors | None = None
) -> ServingTime:
    """Return the time of requests under a load. Sizes may be arrays.

    Args:
        model: steps of one rank.
        load: requests.
        free: bytes for keys and values on one rank (default: ``cache_space``).
        factors: factors of the time per output token of a measured deployment. They leave the time to the first token
            as it is, because they do not improve it.
    """
    isl, osl, dp = load.isl, load.osl, model.mesh.dp
    wanted = load.concurrency / dp
    xp = namespace(isl, osl, wanted)
    free = cache_space(model) if free is None else free
    needed = xp.maximum(cache_bytes(model, isl + osl), 1.0)
    capacity = max(free, 0.0) / needed + 0 * wanted
    batch = xp.minimum(wanted, xp.maximum(capacity, 1.0)) if free > 0 else wanted
    decode = step_values(batch, 1.0, isl + osl / 2)
    chunk = xp.minimum(isl, load.chunk)
    chunks = isl / chunk
    prefill = step_values(1.0 + 0 * batch, chunk, (isl + chunk) / 2)  # a chunk sees half of the chunks before it
    alone, mixed = (model.step(decode, added, scheduled=True) for added in (None, prefill))
    added = model.engine.prefill_share * xp.maximum(_transferred(mixed) - _transferred(alone), 0.0)
    own = chunks * (_transferred(mixed) + alone.launches + mixed.engine)
    others = xp.maximum(batch - 1 / dp, 0.0)  # ranks with different requests compute steps together
    first = own * (1 + model.engine.wait * xp.sqrt(others)) + xp.minimum(others, 1.0) * alone.seconds / 2
    if factors:
        alone, added = factors.scale(alone, model.engine.step_s), factors.prefill * added
    per_step = others * chunks / xp.maximum(osl - 1, 1)  # of prefills of other requests
    tpot = alone.seconds + xp.minimum(per_step, load.chunk / chunk) * added
    period = own + (osl - 1) * alone.seconds + others * chunks * added
    return ServingTime(
        batch=batch, capacity=capacity, waiting=wanted - batch, tpot_s=tpot, prefill_s=own, ttft_s=first,
        requests_per_s=dp * batch / period, prefill_share=1 - alone.seconds / tpot, step=alone,
    )  # fmt: skip


def step_values(sequences: Number, queries: Number, keys: Number) -> dict[str, Number]:
    """Return the workload symbols of sequences of ``keys`` tokens, of which ``queries`` are new."""
    zero = 0 * keys
    return {"b": sequences, "q": queries, "c": keys - queries, "k": keys, "s": keys, "n": zero, "p": zero, "a": zero}


def _transferred(step: StepTime) -> Number:
    return step.kernels + sum(step.collectives.values())
