"""The answer to ``serve`` on one layout with a given number of requests: its operating point, and what it assumes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ..calc.sharding import Mesh
from ..core.errors import InputError
from ..core.record import NamedTuple, changed
from ..core.type_names import Any
from .memory import placed_on_host
from .point import Placement, Point, time_intervals, unmeasured_part, with_acceptance
from .points import load_times, points_of
from .replicas import Replica, replica_on
from .request_times import Load, ServingTime, serving_time
from .result import ServingResult
from .service import CACHE, Service
from .start.llama_cpp_fit import PLACED
from .start.models import state_notes
from .step.step import StepModel
from .step.step_models import check_layout

NOTED = 0.01  # share of the output tokens that preempted requests compute again
ONE_REQUEST = "one request at a time is assumed: {concurrency} sets the number"


class ServingLayout(NamedTuple):
    """Layout of a replica, the number of replicas, and what is assumed."""

    mesh: Mesh
    replicas: int = 1
    notes: tuple[str, ...] = ()
    is_usual: bool = True  # tensor-parallel ranks alone


def under_load(
    service: Service, layout: ServingLayout, retry: Callable[[Mapping[str, Any]], ServingResult]
) -> ServingResult:
    """Return the time of requests on a layout with a constant number of requests.

    Args:
        service: the model in an engine on GPUs with requests.
        layout: layout of a replica and the number of replicas.
        retry: function that estimates the times with other settings.

    Raises:
        InputError: if the GPUs, the model or the engine do not allow the layout.
    """
    check_layout(service.architecture, service.card, layout.mesh, service.count)
    replica = replica_on(service, layout.mesh, service.formats)
    steps, drafting = replica.steps, replica.drafting
    if steps.overlaps and not replica.exchanges:
        hint = "omit it, or divide the experts, such as with {dp=8} {ep=8}"
        text = "needs data-parallel ranks that exchange tokens of experts"
        raise InputError(text, parameter="two_batch_overlap", hint=hint)
    encoder_s = service.images.seconds(steps) if service.images else 0.0
    concurrency = service.asked.get("concurrency") or 1
    own = service.requests.load(concurrency / layout.replicas, replica.chunk, replica.most)
    load = own._replace(encoder_s=encoder_s)

    def time_of(steps: StepModel, *drafts: Any) -> ServingTime:
        return serving_time(steps, load, replica.pool, service.factors, *drafts)

    time = time_of(steps, replica.speculation)
    if drafting and steps.stage_batches > 1:
        raise InputError("cannot be combined with speculative decoding", parameter="pp", hint="omit it, or the draft")
    whole = time.of_replicas(layout.replicas)
    (times,) = points_of(load_times(whole, concurrency, service.requests.mean("osl")))
    unmeasured = unmeasured_part(replica) or "images of requests" * bool(service.images)
    tpot, ttft = time_intervals(steps, times, service.measured, unmeasured)
    for assumption, slowest, fastest in steps.assumed_ranges():
        slow, fast = (time_of(each, replica.speculation) for each in (slowest, fastest))
        tpot = changed(tpot, best=time.tpot_s).with_span(slow.tpot_s, fast.tpot_s, assumption)
        ttft = changed(ttft, best=time.ttft_s).with_span(slow.ttft_s, fast.ttft_s, assumption)
    plain, accepted_times = None, None
    if drafting and replica.speculation:
        plain = time_of(steps)
        if drafting.accepted_range:
            slow, fast = (time_of(steps, replica.speculation.with_accepted(each)) for each in drafting.accepted_range)
            tpot, accepted_times = with_acceptance(tpot, time.tpot_s, slow.tpot_s, fast.tpot_s), (slow, fast)
    placed = None
    if not time.fits and not any(service.given.get(name) for name in PLACED):
        placed = placed_on_host(service, steps)
    return ServingResult(
        Point(service, Placement(replica, layout.replicas), times, tpot, ttft), load._replace(concurrency=concurrency),
        whole, retry, plain, accepted_times, tuple(_notes(service, layout, replica, load, time)), placed,
        has_chosen_layout=not layout.is_usual,
    )  # fmt: skip


def _notes(service: Service, layout: ServingLayout, replica: Replica, load: Load, time: ServingTime) -> Iterator[str]:
    """Yield what is assumed about the engine, the layout, the requests and the memory."""
    steps, memory, measured = replica.steps, replica.memory, service.measured
    yield from service.assumed
    if not service.asked.get("concurrency"):
        yield ONE_REQUEST
    yield from layout.notes
    if service.given.get("cache_v", cache := service.formats[CACHE]) != cache:
        yield "times read values in the number format of keys"
    if memory.start:
        yield from state_notes(service.architecture, memory.start.settings)
    yield f"at most {load.chunk:,} tokens of prefill in a step"
    yield from service.requests.notes
    if replica.drafting:
        yield from replica.drafting.notes
    yield from replica.notes
    if service.images:
        yield service.images.note(load.encoder_s)
    if measured:
        summary = measured.factors.summary
        yield f"time per output token calibrated by {measured.n_rows:,} measurements: {summary}"
    yield from (f"assumed, as no figure of this GPU is known: {text}" for text in steps.assumed)
    if memory.pool is None:
        share, other = steps.engine.memory_share, steps.engine.other_bytes / 1e9
        yield f"{share:.0%} of the memory is used, with {other:g} GB beside weights and KV cache"
    if not time.capacity:
        yield "times assume that the weights fit"
    if time.fits and time.waiting > 0:
        yield "requests wait for others to end, so that the time to the first token depends on the queue"
    if time.recomputed >= NOTED * service.requests.mean("osl"):
        text = "requests are preempted if the KV cache is full, and compute"
        yield f"{text} {float(time.recomputed):,.0f} tokens again per request; their pauses are not counted"
