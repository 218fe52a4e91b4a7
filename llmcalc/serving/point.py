"""Time of requests that a serving engine answers at once: per output token and to the first token."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..calc.sharding import Mesh
from ..core.errors import InputError
from ..core.record import changed
from ..core.setting import Setting, check_values, read_length
from ..data import tables
from ..engines.hardware import AssumedEngine, check_engine, check_weights, default_engine
from ..engines.lengths import known_length
from ..engines.served_models import check_model
from ..engines.settings import SHARES, read_engine_settings
from ..estimate.hardware import Accelerator
from ..inputs.gguf_names import file_format
from ..inputs.gpus import read_gpus
from ..inputs.models import Source, read_model
from ..kernels.interval import with_span
from ..search.default_layout import DefaultLayout, default_layout
from ..search.layouts import LayoutSearch
from ..search.serving_search import (
    ServingSearch,
    search_layouts,
    time_intervals,
    unmeasured_part,
    with_acceptance,
)
from .calibration import Calibration, read_calibration
from .formats import check_formats, format_choices
from .images import read_request_images
from .limits import read_limits
from .memory import engine_title, placed_on_host
from .replicas import read_replica
from .requests import read_requests
from .result import ServingResult
from .start.llama_cpp_fit import PLACED
from .start.models import state_notes
from .start.serve import REQUESTS
from .step.host_steps import HostSteps
from .step.step_models import check_layout, engine_step
from .terms import read_terms
from .times import serving_time

if TYPE_CHECKING:
    from ..search.front import ServingFront
    from ..search.pools import ServingPools

FORMATS = ("weights", "experts", "attention_weights", "cache")
SERVING = (
    Setting("concurrency", float, above=0),
    *(Setting(name) for name in ("gpu", "sla", "api_price", "prefill_pool", "engine", *FORMATS)),
    Setting("pareto", bool),
    Setting("price", float, above=0),
    Setting("watts", float, above=0),
    *(Setting(name, int, least=1) for name in ("tp", "pp", "dp", "ep", "max_num_batched_tokens")),
)
ENGINE_SETTINGS = (  # that change the memory for requests, or the steps
    "engine_version", "max_model_len", "max_num_seqs", *SHARES, "share", "kv_cache_memory", "block_size", "num_blocks",
    "dtype", "prefix_caching", "disable_radix_cache", "chunked_prefill", "max_total_tokens", "graph_sequences",
    "sliding_ratio", "state_ratio", "max_states", "state_dtype", "conv_dtype", "disable_cache_groups",
    "images_per_prompt", "language_model_only", "multimodal", "draft", "draft_method", "draft_tokens", "draft_steps",
    "draft_width", "speculative_config",
    "two_batch_overlap", "enforce_eager", "auto_fit", "full_window", "unified", "cache_v", *PLACED,
)  # fmt: skip
SETTINGS = (
    *REQUESTS, "engine", "tp", "pp", "dp", "ep", "weights", "experts", "attention_weights", "cache",
    "max_num_batched_tokens", "price", "calibration", "acceptance_length", "acceptance_rate", "image", *ENGINE_SETTINGS,
)  # fmt: skip
CACHING, CACHE = "prefix_caching", "cache"
NOTED = 0.01  # share of the output tokens that preempted requests compute again


def serving(
    model: Source,
    gpu: str,
    *,
    isl: int | str | None = None,
    osl: int | str | None = None,
    concurrency: float | None = None,
    engine: str | None = None,
    tp: int | None = None,
    pp: int = 1,
    dp: int = 1,
    ep: int = 1,
    weights: str | None = None,
    experts: str | None = None,
    attention_weights: str | None = None,
    cache: str | None = None,
    max_num_batched_tokens: int | str | None = None,
    price: float | None = None,
    sla: str | None = None,
    calibration: Calibration | str | os.PathLike[str] | None = None,
    pareto: bool = False,
    prefill_pool: str | None = None,
    watts: float | None = None,
    api_price: str | None = None,
    mix: str | None = None,
    trace: str | os.PathLike[str] | None = None,
    turns: int | None = None,
    prefix_share: float | None = None,
    acceptance_length: float | None = None,
    acceptance_rate: float | None = None,
    image: Iterable[str] = (),
    is_command: bool = False,
    **settings: Any,
) -> ServingResult | ServingSearch | ServingFront | ServingPools:
    """Estimate the time of requests on a serving engine with a constant number of requests.

    >>> import llmcalc
    >>> result = llmcalc.serve("llama3.1-8b", "h100", isl=1000, osl=500, concurrency=16)
    >>> result.fits, result.tpot_low_s < result.tpot_s < result.tpot_high_s
    (True, True)

    Args:
        model: an architecture, or anything ``load`` reads.
        gpu: accelerator with an optional count, such as ``"h100:4"``.
        isl: input tokens of a request.
        osl: output tokens of a request.
        concurrency: number of requests at any time (default: 1, or with ``sla`` the best number).
        engine: serving engine (default: as for ``latency``). An unknown one has a wider interval.
        tp: number of tensor-parallel ranks (default: all GPUs on one node, or the layout with the most tokens per
            second if it is faster; llama.cpp has different layers on each GPU).
        pp: number of pipeline stages, which compute as many batches at once.
        dp: number of ranks that have different requests and share the experts.
        ep: number of ranks over which the experts are divided.
        weights: number format of the weights (default: as published).
        experts: number format of routed experts (default: ``weights``).
        attention_weights: number format of layers that mix tokens (default: ``weights``).
        cache: number format of keys and values (default: 16 bits).
        max_num_batched_tokens: largest number of tokens of prefill in a step (default: that of the engine on the GPU).
        price: US dollars per GPU-hour (default: quoted prices).
        sla: longest times, such as ``"ttft<300ms,tpot<10ms"`` or ``"e2e<10s"`` of a whole request. Returns the layouts
            with the most tokens per second, or the most requests on the layout that is given.
        calibration: result of ``calibrate``, or its file. The engine is by default the measured one.
        pareto: return the most tokens per second at each speed of a request, as ``serving_front`` does.
        prefill_pool: replicas that compute prefills alone, such as ``"2xtp2"``. The other GPUs decode.
        watts: measured power per GPU (default: by what kernels read and compute, from the rated power).
        api_price: US dollars per million input and output tokens of an API to compare with, such as ``"0.5/1.5"``.
        mix: classes of requests, in place of ``isl`` and ``osl``, such as ``"4000/500:0.7,500/200:0.3"``.
        trace: CSV or JSON Lines file with the input and output tokens of each request, in place of ``isl`` and ``osl``.
        turns: number of turns of a conversation, each with ``isl`` new input tokens and ``osl`` output tokens.
        prefix_share: share of the input tokens that is a cached prefix of all requests. With 0, turns are not cached.
        acceptance_length: mean number of tokens per step of speculative decoding, with the one that verification adds.
        acceptance_rate: share of the drafted tokens that are accepted.
        image: sizes of images in pixels, such as ``["1024x768"]``, that each request contains in addition to ``isl``.
        is_command: whether the settings are those of a command line, which has a layout.
        settings: further settings of the engine, such as ``max_num_seqs``, ``max_model_len``, ``draft`` or
            ``prefix_caching``.
    """
    chunk = None if max_num_batched_tokens is None else read_length(max_num_batched_tokens, "max_num_batched_tokens")
    sizes = {"concurrency": concurrency, "price": price, "watts": watts, "tp": tp, "pp": pp, "dp": dp, "ep": ep}
    sizes["max_num_batched_tokens"] = chunk
    formats: dict[str, Any] = dict(zip(FORMATS, (weights, experts, attention_weights, cache), strict=True))
    named = {"gpu": gpu, "engine": engine, "sla": sla, "pareto": pareto, "prefill_pool": prefill_pool}
    named["api_price"] = api_price
    check_values(SERVING, {**sizes, **formats, **named})
    architecture, card, count = read_model(model), *_gpus(gpu)
    measured = None
    if calibration is not None:
        own = engine_step(engine).name if engine else None
        measured = read_calibration(calibration).find(architecture, card.name, own, weights)
        engine = measured.engine
    terms = read_terms(card, price, watts, api_price)
    assumed = AssumedEngine(engine, "") if engine else default_engine(architecture, card, weights)
    factors, name = measured.factors if measured else None, engine_step(assumed.name).name
    check_engine(name, card)
    check_model(name, architecture)
    if not any(formats[name] for name in FORMATS if name != CACHE):
        formats["weights"] = file_format(architecture, name)
    check_weights(name, card, [formats[each] or formats["weights"] for each in FORMATS if each != CACHE], architecture)
    given = _engine_settings(name, {**settings, "max_num_batched_tokens": chunk})
    is_cached = settings.get(CACHING) is not False and not given.get("disable_radix_cache")
    requests = read_requests(isl, osl, mix, trace, turns, prefix_share, is_cached=is_cached)
    images = read_request_images(architecture, name, card, given, image)
    if images:
        others = {"mix": mix, "trace": trace, "turns": turns, "prefix_share": prefix_share, "sla": sla,
                  "pareto": pareto, "prefill_pool": prefill_pool}  # fmt: skip
        if combined := next((own for own, value in others.items() if value), ""):
            raise InputError("cannot be combined with images", parameter=combined, hint="omit it, or {image}")
        requests = images.added_to(requests)
    search = LayoutSearch(
        architecture, card, count, requests, name, (formats,), factors, concurrency, chunk, given,
        (acceptance_length, acceptance_rate), tuple(assumed.notes), is_command,
    )  # fmt: skip
    sizes_given = [one for one, size in (("tp", tp or 1), ("pp", pp), ("dp", dp), ("ep", ep)) if size > 1]
    has_layout = is_command or bool(sizes_given) or tp is not None
    if sla is not None or pareto:
        limits = read_limits(sla) if sla else {}
        if requests.is_single_token:
            raise InputError("needs at least 2 output tokens", parameter="osl", hint="use {osl=2}")
        chosen = sizes_given if pareto else []
        refused = [*chosen, *(["prefill_pool"] if prefill_pool else [])]
        if refused:
            hint = f"the layout is chosen; omit {{{refused[0]}}}" if chosen else f"omit {{{refused[0]}}}"
            raise InputError("cannot be combined with a search for layouts", parameter=refused[0], hint=hint)
        check_formats(architecture, formats)
        if pareto:
            from ..search.front import find_front

            tried = (formats,) if measured else format_choices(architecture, card, formats, search.engine)
            return find_front(changed(search, formats=tried), limits, terms, measured)
        if has_layout:
            from ..search.serving_requests import search_requests

            mesh = _given_mesh(name, count, tp, pp, dp, ep)
            check_layout(architecture, card, mesh, count)
            found = search_requests(changed(search, count=mesh.ranks), mesh, limits, terms, measured)
            rest = count - mesh.ranks
            unused = (f"the layout leaves {rest} of {count} GPUs unused",) if rest else ()
            return changed(found, notes=(*unused, *found.notes))
        return search_layouts(search, limits, terms, measured)
    notes = [] if concurrency else ["one request at a time is assumed: {concurrency} sets the number"]
    concurrency = concurrency or 1
    if prefill_pool is not None:
        from ..search.pools import serving_pools

        if (tp or dp) * dp % ep:
            raise InputError(f"must divide the {(tp or 1) * dp} GPUs of a replica, not {ep}", parameter="ep")
        decode = Mesh(dp=dp, tp=tp or 1, ep=ep, etp=(tp or 1) * dp // ep) if tp or dp > 1 else None
        pools = serving_pools(changed(search, only=concurrency), prefill_pool, decode, terms, measured)
        return changed(pools, notes=(*notes, *pools.notes))
    mesh = _given_mesh(name, count, tp, pp, dp, ep)
    layout = DefaultLayout(mesh)
    if tp is None and ep == 1 and mesh.ranks == mesh.tp == count > 1:
        layout = default_layout(search, concurrency)
    mesh, replicas = layout.mesh, layout.replicas
    notes += layout.notes
    check_layout(architecture, card, mesh, count)
    replica = read_replica(architecture, card, gpu, mesh, name, formats, given, search.acceptance)
    steps, memory, drafting, speculation = replica.steps, replica.memory, replica.drafting, replica.speculation
    if replica.overlaps and not replica.exchanges:
        hint = "omit it, or divide the experts, such as with {dp=8} {ep=8}"
        text = "needs data-parallel ranks that exchange tokens of experts"
        raise InputError(text, parameter="two_batch_overlap", hint=hint)
    encoder_s = images.seconds(steps) if images else 0.0
    load = requests.load(concurrency / replicas, replica.chunk, replica.most)._replace(encoder_s=encoder_s)
    time = serving_time(steps, load, memory.free, factors, speculation)
    if drafting and steps.stage_batches > 1:
        raise InputError("cannot be combined with speculative decoding", parameter="pp", hint="omit it, or the draft")
    tpot, ttft = time_intervals(steps, time, measured, unmeasured_part(replica) or "images of requests" * bool(images))
    if isinstance(steps, HostSteps) and steps.host.title:
        ends = (steps.with_bandwidth(each) for each in (steps.host.slowest, steps.host.fastest))
        slow, fast = (serving_time(one, load, memory.free, factors, speculation) for one in ends)
        assumption = "the bandwidth of host memory is assumed"
        tpot = with_span(tpot, time.tpot_s, slow.tpot_s, fast.tpot_s, assumption)
        ttft = with_span(ttft, time.ttft_s, slow.ttft_s, fast.ttft_s, assumption)
    if steps.engine.is_eager:
        fast, slow = (
            serving_time(steps.with_launch(each), load, memory.free, factors, speculation)
            for each in steps.engine.launch_range_s
        )
        assumption = "the time in which the host launches a kernel is assumed"
        tpot = with_span(tpot, time.tpot_s, slow.tpot_s, fast.tpot_s, assumption)
        ttft = with_span(ttft, time.ttft_s, slow.ttft_s, fast.ttft_s, assumption)
    plain, accepted_times = None, None
    if speculation and drafting:
        plain = serving_time(steps, load, memory.free, factors)
        if drafting.accepted_range:
            slow, fast = (
                serving_time(steps, load, memory.free, factors, speculation.with_accepted(each))
                for each in drafting.accepted_range
            )
            tpot, accepted_times = with_acceptance(tpot, time.tpot_s, slow.tpot_s, fast.tpot_s), (slow, fast)
    if given.get("cache_v", cache) != cache:
        notes.append("times read values in the number format of keys")
    if memory.result:
        notes += state_notes(architecture, memory.result.settings)
    notes = [*search.assumed, *notes, f"at most {load.chunk:,} tokens of prefill in a step", *requests.notes]
    if drafting:
        notes += drafting.notes
    notes += [*replica.notes, *([images.note(encoder_s)] if images else [])]
    if measured:
        summary = measured.factors.summary
        notes.append(f"time per output token calibrated by {measured.n_rows:,} measurements: {summary}")
    notes += [f"assumed, as no figure of this GPU is known: {text}" for text in steps.assumed]
    if memory.free is None:
        share, other = steps.engine.memory_share, steps.engine.other_bytes / 1e9
        notes.append(f"{share:.0%} of the memory is used, with {other:g} GB beside weights and KV cache")
    if not time.capacity:
        notes.append("times assume that the weights fit")
    if time.capacity >= 1 and time.waiting > 0:
        notes.append("requests wait for others to end, so that the time to the first token depends on the queue")
    if time.recomputed >= NOTED * requests.mean("osl"):
        text = "requests are preempted if the KV cache is full, and compute"
        notes.append(f"{text} {float(time.recomputed):,.0f} tokens again per request; their pauses are not counted")

    def retry(change: Mapping[str, Any]) -> ServingResult:
        own: dict[str, Any] = {
            "isl": isl, "osl": osl, "mix": mix, "trace": trace, "turns": turns, "prefix_share": prefix_share,
            **formats, "gpu": gpu, "concurrency": concurrency, "engine": engine, "tp": tp, "pp": pp, "dp": dp, "ep": ep,
            "price": price, "calibration": calibration, "max_num_batched_tokens": max_num_batched_tokens,
            "acceptance_length": acceptance_length, "acceptance_rate": acceptance_rate, "watts": watts,
            "api_price": api_price, "image": image, **settings,
        }  # fmt: skip
        found = serving(architecture, **{**own, **change})
        assert isinstance(found, ServingResult)
        return found

    placed = None
    if time.capacity < 1 and not any(given.get(name) for name in PLACED):
        placed = placed_on_host(architecture, steps, tuple(formats.values()), given, requests.longest)
    if placed and (there := {name: each for name, each in placed.automatic.items() if name in PLACED}):
        whole = retry(there)
        if whole.time.capacity >= 1:
            note = f"{engine_title(steps.engine.name)} starts{placed.placement}, which it chooses by itself"
            return changed(whole, notes=(note, *whole.notes))

    allowed = (
        known_length(architecture, steps.engine.name),
        memory.settings.get("max_model_len") if "max_model_len" in given else None,
    )
    return ServingResult(
        model=architecture.name, accelerator=card, gpus=count, mesh=mesh, engine=name, requests=requests,
        is_engine_assumed=engine is None, load=load._replace(concurrency=concurrency), time=time.of_replicas(replicas),
        tpot=None if requests.is_single_token else tpot,
        ttft=ttft if time.capacity >= 1 and time.waiting <= 0 else None,
        width=float(tpot.high / time.tpot_s), reasons=tpot.reasons, retry=retry,
        max_model_len=min((size for size in allowed if isinstance(size, int)), default=None),
        kernels={f"{kind} {kernel}".strip(): f"{own.origin} {own.accelerator}".strip()
                 for (kind, kernel), own in steps.efficiencies.items()},
        architecture=architecture, price=terms.price, memory=memory.result, settings=given, terms=terms,
        formats={name: own for name, own in formats.items() if own}, drafting=drafting,
        plain=plain, accepted_times=accepted_times, notes=tuple(notes), placed=placed,
        replicas=replicas, replica=replica, length_flag=search.length_flag, has_chosen_layout=not layout.is_usual,
    )  # fmt: skip


def _given_mesh(engine: str, count: int, tp: int | None, pp: int, dp: int, ep: int) -> Mesh:
    """Return the layout of given sizes. Other GPUs are tensor-parallel ranks, or stages of llama.cpp."""
    splits_layers = tp is None and pp == 1 and engine_step(engine).divides_layers
    stages = max(count // dp, 1) if splits_layers else pp
    ranks = tp or max(count // (dp * stages), 1)
    if ranks * dp % ep:
        raise InputError(f"must divide the {ranks * dp} GPUs, not {ep}", parameter="ep")
    return Mesh(dp=dp, tp=ranks, pp=stages, ep=ep, etp=ranks * dp // ep)


def _engine_settings(engine: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return checked settings of an engine. Those of an unknown engine are those of vLLM."""
    entries = tables("engines")
    entry = entries.get(engine) or next(iter(entries.values()))
    own, read = {name: value for name, value in settings.items() if value is not None}, entry["flags"]["read"].values()
    version = own.pop("engine_version", None)
    if CACHING in own and CACHING not in read:
        is_on = own.pop(CACHING)
        own |= {"disable_radix_cache": not is_on} if "disable_radix_cache" in read else {}
    found = read_engine_settings(own, entry)
    if found.get("chunked_prefill") is False:
        hint = "omit it"
        raise InputError("chunked prefill cannot be off for times", parameter="command", hint=hint)
    return {**found, **({"engine_version": version} if version else {})}


def _gpus(gpu: str) -> tuple[Accelerator, int]:
    found = read_gpus(gpu) if isinstance(gpu, str) else None
    if found is None or found.accelerator is None:
        raise InputError("needs the name of a GPU", parameter="gpu", hint="use a name such as h100:4")
    return found.accelerator, found.count or 1
