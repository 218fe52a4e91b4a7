"""Requests that run at once: the KV cache that an engine reserves for them, and the cost of preemption.

An engine admits a request when the cache has space for its present tokens, and for a share ``reserved`` of the output
that the running requests will still generate: none in vLLM, all of it in TensorRT-LLM, and an estimate in SGLang. In a
steady state, a request computes each of its output tokens once, so that the running requests are equally distributed
over the output, however often some of them are preempted. On average, one holds the input and a half of the output,
and reserves the share of the other half:

    running = cache / (bytes(isl + osl / 2) + reserved · (bytes(isl + osl) - bytes(isl + osl / 2)))

An estimate has a largest number of tokens. The mean of ``min(rest, most)`` over the rest of an output is then
``most - most² / (2 osl)``. SGLang raises its estimate when it has to retract requests. Its mean is therefore higher
than the lowest one if outputs are much longer than inputs, and up to a quarter fewer requests run.

An engine that reserves nothing fills the cache at once, and preempts the newest request, which frees its tokens and
computes them again later, as often as the others need space. Between two requests that end, the running ones grow by
one output together, for which as many tokens are preempted:

    recomputed = bytes grown by an output / bytes of a preempted request · its tokens

A prefix cache has those tokens of them that the growth has not overwritten since. A request that ends frees ``isl +
osl`` tokens, and the growth takes ``osl`` of them, which is about the share that is lost. If fewer requests than the
cache can hold run, they exceed it by chance. The tokens of n requests deviate by ``osl · sqrt(n / 12)`` from their
mean, and the probability of an excess is that of a normal distribution (as a logistic function).

``tests/serving/test_admission.py`` compares these forms with simulated schedulers.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from ..core.arrays import Number, namespace
from ..core.record import NamedTuple
from ..core.type_names import Any

LOGISTIC = 1.702  # slope at which a logistic function is nearest to the normal distribution (Johnson et al. 1994)
STEEPEST = 30.0  # deviations beyond which the probability is 0 or 1


class Admission(NamedTuple):
    """Rule by which an engine admits requests.

    Attributes:
        reserved: share of the output still to come that a running request reserves in the KV cache.
        most: largest number of these tokens.
    """

    reserved: float = 1.0
    most: float = inf

    @property
    def preempts(self) -> bool:
        """Whether requests are preempted in a steady state, because nothing is reserved for their output."""
        return self.reserved == 0


class RequestBytes(NamedTuple):
    """Bytes of the KV cache that a request holds on one rank: with its input, a half of its output, and all of it."""

    first: Number
    middle: Number
    full: Number


def read_admission(found: Mapping[str, Any]) -> Admission:
    """Return the rule of an engine from ``data/engine_steps.yaml``. An unknown engine reserves all output."""
    return Admission(found.get("reserved", 1.0), found.get("most_reserved", inf))


def reserved_bytes(admission: Admission, size: RequestBytes, osl: Number) -> Number:
    """Return the mean bytes that a running request holds and reserves.

    >>> held = RequestBytes(100.0, 500.0, 900.0)
    >>> [reserved_bytes(Admission(share), held, 800.0) for share in (0.0, 0.5, 1.0)]
    [500.0, 700.0, 900.0]
    >>> reserved_bytes(Admission(1.0, most=400.0), held, 800.0)
    800.0

    Args:
        admission: rule of the engine.
        size: bytes of a request.
        osl: output tokens.
    """
    xp = namespace(osl)
    most = xp.minimum(osl, admission.most)
    share = admission.reserved * (2 - most / osl) * most / osl  # of the half that is still to come
    return size.middle + share * (size.full - size.middle)


def excess_probability(space: Number, wanted: Number, held: Number, grown: Number) -> Number:
    """Return the probability that requests need more space than there is.

    >>> [round(excess_probability(space, 40.0, 1500.0, 1000.0), 3) for space in (55e3, 60e3, 65e3)]
    [0.991, 0.5, 0.009]

    Args:
        space: bytes for requests.
        wanted: number of requests.
        held: mean bytes of a request.
        grown: bytes by which a request grows.
    """
    xp = namespace(space, wanted, held, grown)
    deviation = xp.maximum(grown * xp.sqrt(wanted / 12), 1e-9)
    return 1 / (1 + xp.exp(-LOGISTIC * xp.clip((wanted * held - space) / deviation, -STEEPEST, STEEPEST)))


def recomputed_tokens(size: RequestBytes, isl: Number, osl: Number, *, reuses_prefixes: bool) -> Number:
    """Return the tokens that preempted requests compute again, for each request that ends while the cache is full.

    >>> size = RequestBytes(1000.0, 1500.0, 2000.0)
    >>> recomputed_tokens(size, 1000.0, 1000.0, reuses_prefixes=False)
    1000.0
    >>> recomputed_tokens(size, 1000.0, 1000.0, reuses_prefixes=True)
    500.0

    Args:
        size: mean bytes of a request.
        isl: input tokens that a preempted request computes again.
        osl: output tokens.
        reuses_prefixes: whether the prefix cache has tokens of preempted requests.
    """
    xp = namespace(size.middle, isl)
    tokens = (size.full - size.first) / xp.maximum(size.middle, 1.0) * (isl + osl / 2)
    return tokens * osl / (isl + osl) if reuses_prefixes else tokens
