"""Time per output token and time to the first token of a serving engine under load, from the times of single steps.

An engine with a constant number of requests computes steps that decode a batch. Each new request adds chunks of prefill
to some of these steps. While a request decodes, in ``osl - 1`` steps, each of the other requests of the batch ends and
is replaced once, and its prefill adds time to steps:

    added = mixed(batch, chunk) - decode(batch)
    tpot = decode(batch) + (batch - 1) / (osl - 1) · chunks · added

Requests end independently, so that the prefills of several can fall into one step, which computes them together as far
as they are within its largest number of tokens. With ``e`` chunks per output token on average, a share ``1 - exp(-e)``
of the steps has at least one, and their mean number in such a step is

    together = min(e / (1 - exp(-e)), largest number of tokens / chunk)

``added`` is divided by it. In vLLM and TensorRT-LLM, decoded tokens count in the largest number of tokens of a step,
and come first. A step prefills ``(largest number of tokens - decoding) / isl`` requests at most, and each of them is
decoded in ``osl - 1`` steps, so that no more than these are decoded at once:

    decoding = min(batch, (osl - 1) · largest number of tokens / (isl + osl - 1))

The prefills of the others delay their first token. Prefills that a prompt waited for do not delay its decode steps
again: requests that are computed together take no longer than one after another, which limits ``tpot`` where prefills
take longer than all decode steps. By Little's law, the requests per second are the batch divided by
the time that a request stays:

    batch / (ttft + (osl - 1) · tpot)

It stays at least for its own prefill, its decode steps and the prefills of the others. Those that its decode steps do
not contain, because it has few output tokens, delay its first token.

The time to the first token is that of the server in front of the engine, the wait for other prefills, and the own one.

The batch is the number of requests, or as many as the KV cache can hold by the rule of the engine (``admission.py``),
or the engine allows. Requests beyond it wait, for a time that depends on the queue, so that the time to the first token
is undefined. Tokens that preempted requests compute again are further prefills.

Cached input tokens are not prefilled, but their keys and values are read. Those of a prefix that all requests share are
stored once.

Requests of several classes have a time per class, and each time is the mean over classes: over requests for prefills,
and over output tokens for decode steps, because a request decodes for as long as it has output tokens. This is exact
where a step is linear in the lengths of its sequences, as it is except for sliding windows and the waves of kernels.

Pipeline stages compute as many batches at once, each in another stage. A prefill in one of them delays all others by
its time in one stage, as if it were divided over the batches. They are thus modelled as data-parallel ranks that share
the memory, with steps that pass through all stages. llama.cpp has one batch, whose cache is divided over all stages.

With speculative decoding, a step verifies drafted tokens, and each sequence advances by ``accepted`` tokens:

    tpot = (draft(batch) + verify(batch)) / accepted + (batch - 1) / (osl - 1) · chunks · added
"""

from __future__ import annotations

from fractions import Fraction
from math import inf

from ..calc.kv_cache import LONG, SHORT, element_bytes, state
from ..core.arrays import Number, namespace
from ..core.record import NamedTuple, changed, fields, record, remembered
from ..core.type_names import Any
from ..kernels.cost import ACTIVATIONS, StepTime
from ..kernels.step_operations import DECODE
from .admission import RequestBytes, excess_probability, recomputed_tokens, reserved_bytes
from .factors import Factors
from .start.cache import CacheLayer, cache_layers
from .start.pool import CachePool, pool_of_layers
from .step.draft_steps import Speculation, decode_step
from .step.step import StepModel, step_values


class Load(NamedTuple):
    """Requests that an engine serves at once. The classes of requests are the last axis of arrays.

    Attributes:
        isl: input tokens of a request.
        osl: output tokens of a request.
        concurrency: number of requests at any time, over all replicas of attention.
        chunk: largest number of tokens of prefill in a step, in some engines with the decoded tokens (default: the
            usual one of the engine).
        cached: input tokens of which keys and values are cached.
        shared: cached tokens that all requests share.
        most: largest number of running requests on each data-parallel rank.
        shares: share of the requests in each class, or None for a single class.
        reuses_prefixes: whether the prefix cache has tokens of preempted requests.
        encoder_s: seconds in which the encoder reads the images of a request, in a step with its prefill.
    """

    isl: Number
    osl: Number
    concurrency: Number
    chunk: Number | None = None
    cached: Number = 0
    shared: Number = 0
    most: Number = inf
    shares: Any = None
    reuses_prefixes: bool = True
    encoder_s: float = 0.0

    def limit(self, model: StepModel) -> Number:
        """Return the largest number of tokens of prefill in a step that decodes none."""
        return model.engine.chunk if self.chunk is None else self.chunk

    def mean(self, value: Number) -> Number:
        """Return the mean over requests."""
        return value if self.shares is None else (value * self.shares).sum(-1, keepdims=True)

    def mean_decoding(self, value: Number) -> Number:
        """Return the mean over decoding requests, weighted by the output tokens of each class."""
        return value if self.shares is None else self.mean(value * self.osl) / self.mean(self.osl)

    def across_classes(self, value: Number) -> Number:
        """Return a value of each of several loads, with an axis for the classes of requests if there are any."""
        return value if self.shares is None or not getattr(value, "ndim", 0) else value[..., None]

    def without_classes(self, value: Number) -> Number:
        """Return a mean over the classes of requests without their axis."""
        return value if self.shares is None or not getattr(value, "ndim", 0) else value[..., 0]


@record
class ServingTime:
    """Time of requests.

    Attributes:
        batch: running requests on each data-parallel rank.
        capacity: requests that can run at once on each data-parallel rank (0: the weights do not fit, and below 1: a
            request does not fit).
        waiting: requests that wait for memory on each data-parallel rank.
        tpot_s: time per output token after the first. A request with one output token has none, and the value has no
            meaning.
        prefill_s: time of the prefill of one request, in steps that also decode.
        ttft_s: time to the first token, with the wait for prefills of other requests.
        requests_per_s: requests per second of all data-parallel ranks.
        step: decode step of the batch.
        accepted: output tokens of a sequence in a step, above 1 with speculative decoding.
        class_ttft_s: time to the first token of each class of requests.
        shared_bytes: bytes of the keys and values on a rank that a request shares with the others.
        n_batches: number of batches of which ``batch`` and ``capacity`` are one.
        stage_batches: number of those that share the memory of a rank, as each is in another pipeline stage.
        recomputed: tokens that preempted requests compute again, per request.
        decoding: those of the running requests whose tokens a step decodes. The others are prefilled.
    """

    batch: Number
    capacity: Number
    waiting: Number
    tpot_s: Number
    prefill_s: Number
    ttft_s: Number
    requests_per_s: Number
    step: StepTime
    accepted: Number = 1
    class_ttft_s: Number = 0
    shared_bytes: Number = 0
    n_batches: int = 1
    stage_batches: int = 1
    recomputed: Number = 0.0
    decoding: Number = 1.0

    @property
    def fits(self) -> Any:
        """Whether a rank has memory for a request."""
        return self.capacity * self.stage_batches >= 1

    def of_replicas(self, count: int) -> ServingTime:
        """Return the times of several replicas, each of which has these requests."""
        return changed(self, requests_per_s=self.requests_per_s * count, n_batches=self.n_batches * count)


def plain_pool(model: StepModel, space: float) -> CachePool:
    """Return a cache that stores exactly what the layers of one sequence cache, with ``space`` bytes on one rank."""
    mesh, names = changed(model.mesh, pp=1), (model.cache.name, *model.states.items())

    def compute() -> tuple[CacheLayer, ...]:
        widths = {
            role: Fraction(size) / Fraction(element_bytes(role, ACTIVATIONS)) for role, size in model.states.items()
        }
        own: dict[str, Any] = {"dtype": ACTIVATIONS, "cache": model.cache, "mesh": mesh, "extend": True}
        short, long = (state(model.architecture, seq=tokens, **own) for tokens in (SHORT, LONG))
        return cache_layers(short, long, widths)

    layers = remembered(model.architecture, "_stored_layers", (mesh, names), compute)
    return pool_of_layers(layers, space * model.mesh.pp)


def weight_bytes(model: StepModel) -> float:
    """Return the bytes of the weights that a decode step reads on one rank. Pipeline stages have equal shares."""
    found = (group.applied * group.weight_bytes for group in model.groups.values() if DECODE in group.phases)
    return sum(found) / model.mesh.pp


def cache_space(model: StepModel) -> float:
    """Return the bytes that an engine without a known rule has for keys and values on one rank."""
    usable = model.accelerator.usable_bytes * model.engine.memory_share
    return usable - weight_bytes(model) - model.engine.other_bytes


def serving_time(
    model: StepModel,
    load: Load,
    pool: CachePool | None = None,
    factors: Factors | None = None,
    speculation: Speculation | None = None,
) -> ServingTime:
    """Return the time of requests under a load. Sizes may be arrays.

    Args:
        model: steps of one rank.
        load: requests.
        pool: cache of one rank (default: one that stores exactly what is cached, in ``cache_space`` bytes).
        factors: factors of the time per output token of a measured deployment. They leave the time to the first token
            as it is, because they do not improve it.
        speculation: tokens that are drafted and verified in a step, or None.
    """
    isl, osl, groups, mean = load.isl, load.osl, model.n_batches, load.mean
    wanted = load.concurrency / groups
    xp = namespace(isl, osl, wanted)
    room = request_room(model, load, pool or plain_pool(model, cache_space(model)))
    capacity, shared = room.capacity / model.stage_batches + 0 * load.concurrency, room.shared
    allowed = xp.where(capacity > 0, xp.maximum(capacity, 1 / model.stage_batches), inf)
    most = xp.minimum(wanted, load.most)
    batch = xp.minimum(most, allowed)
    recomputed = room.recomputed(model, load, most * model.stage_batches)
    new = xp.maximum(isl - load.cached, 1)
    tokens, accepted = xp.maximum(mean(osl) - 1, 1), speculation.accepted if speculation else 1
    verified = speculation.verified if speculation else 1
    decoding = xp.minimum(
        batch, xp.maximum(model.engine.most_decoded(load.limit(model), mean(new), tokens, accepted, verified), 1.0)
    )
    limit = model.engine.prefill_limit(load.limit(model), decoding * verified)
    chunk = xp.minimum(new, limit)
    chunks = new / chunk
    others = xp.maximum(batch - 1 / model.joint_batches, 0.0)
    together = prefills_together(others / tokens * mean(chunks), limit / mean(chunk))
    prefill = step_values(together, chunk, load.cached + (new + chunk) / 2)  # half of the chunks before are seen
    keys = isl + osl / 2
    batches = xp.clip(batch * model.stage_batches, 1.0, model.stage_batches)

    def step(keys: Number, prefill: Any = None) -> StepTime:
        return decode_step(model, speculation, decoding, keys, prefill, batches)

    alone = step(keys)
    if load.shares is None:
        without, mixed = alone, step(keys, prefill)
    else:
        middle = load.mean_decoding(keys)
        without, mixed = step(middle), step(middle, prefill)
        alone = alone.each(load.mean_decoding)
    longer = _transferred(model, mixed) - _transferred(model, without)
    added = model.engine.prefill_share * xp.maximum(longer, 0.0)
    first = without.seconds - without.engine + longer / together
    own = chunks * (first + mixed.engine) + load.encoder_s
    before = xp.minimum(model.engine.wait * xp.sqrt(others), others)  # waits for each other request once at most
    waited = mean(own) * before + xp.minimum(others, 1.0) * alone.seconds / 2
    if factors:
        alone, added = factors.scale(alone, model.engine.step_s), factors.prefill * added
    decode = alone.seconds / accepted
    again = recomputed / mean(new)
    work = mean(chunks * added) / together * (1 + again) + load.encoder_s  # of a request, in steps that decode others
    serial = others * (mean(own) / tokens + decode) - mean(waited) / tokens  # most that others can delay a token
    delay = xp.minimum(xp.minimum(others / tokens, limit / mean(new) / accepted) * work, xp.maximum(serial, 0.0))
    tpot = decode + delay
    ttft = own + waited + model.engine.server_s
    stay = mean(ttft) + again * mean(own) + (mean(osl) - 1) * tpot
    steps = (mean(osl) - 1) * batch / decoding  # until all running requests are decoded
    period = xp.maximum(stay, (1 + again) * mean(own) + steps * decode + others * work)
    ttft = ttft + xp.maximum(period - stay, 0.0)
    found = ServingTime(
        batch=batch, capacity=capacity, waiting=wanted - batch, tpot_s=tpot, prefill_s=mean(own),
        ttft_s=mean(ttft), requests_per_s=groups * batch / period, step=alone,
        accepted=accepted, class_ttft_s=ttft, shared_bytes=shared, n_batches=groups,
        stage_batches=model.stage_batches, recomputed=recomputed, decoding=decoding,
    )  # fmt: skip
    return found if load.shares is None else _without_classes(found, load)


def prefills_together(mean: Number, most: Number) -> Number:
    """Return the mean number of chunks of prefill in a step that has any.

    >>> [round(prefills_together(mean, 4.0), 2) for mean in (0.0, 2.0, 9.0)]
    [1.0, 2.31, 4.0]

    Args:
        mean: chunks per step, of requests that end independently.
        most: largest number of chunks in a step.
    """
    xp = namespace(mean, most)
    some = xp.maximum(mean, 1e-6)
    return xp.maximum(xp.minimum(some / (1 - xp.exp(-some)), most), 1.0)


class Room(NamedTuple):
    """Space for requests on a rank.

    Attributes:
        capacity: requests that can run at once.
        shared: bytes that each of them shares with the others.
        space: bytes for what they do not share.
        size: mean bytes of a request with its input, a half of its output, and all of it.
    """

    capacity: Number
    shared: Number
    space: Number
    size: RequestBytes

    def recomputed(self, model: StepModel, load: Load, wanted: Number) -> Number:
        """Return the tokens per request that preempted requests compute again."""
        if not model.engine.admission.preempts:
            return 0.0 * wanted
        own, size = load.mean_decoding, self.size
        tokens = recomputed_tokens(
            size, own(load.isl - load.shared), own(load.osl), reuses_prefixes=load.reuses_prefixes
        )  # fmt: skip
        is_known = namespace(self.capacity).where(self.capacity >= 1, 1.0, 0.0)
        return is_known * tokens * excess_probability(self.space, wanted, size.middle, size.full - size.first)


def request_room(model: StepModel, load: Load, pool: CachePool) -> Room:
    """Return the space for requests on a rank, and how many of them can run at once."""
    xp = namespace(load.isl, load.osl, load.concurrency)
    shared = pool.shared_bytes(load.shared)
    size = RequestBytes(*(
        xp.maximum(pool.bytes_of(load.isl + part * load.osl) - shared, 1.0) for part in (0.0, 0.5, 1.0)
    ))  # fmt: skip
    largest, once = (size.full, shared) if load.shares is None else (size.full.max(), xp.max(shared))
    rest = xp.maximum(pool.space - once, 0.0)
    held = load.mean_decoding(reserved_bytes(model.engine.admission, size, load.osl))
    capacity = xp.minimum(xp.where(rest >= largest, rest / held, rest / largest), pool.most)
    means = RequestBytes(*map(load.mean_decoding, size))
    return Room(capacity, load.mean_decoding(shared), rest, means)


def _without_classes(time: ServingTime, load: Load) -> ServingTime:
    """Return times without the axis of classes."""
    names = (
        field.name for field in fields(time) if field.name not in ("step", "class_ttft_s", "n_batches", "stage_batches")
    )
    own = {name: load.without_classes(getattr(time, name)) for name in names}
    return changed(time, **own, step=time.step.each(load.without_classes))


def _transferred(model: StepModel, step: StepTime) -> Number:
    """Return the time of a step that depends on its tokens. Launches do if they overlap with the kernels."""
    return step.seconds - step.engine - (0.0 if model.engine.is_eager else step.launches)
