"""What a serving engine does with the memory of its GPUs, and what its log says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, overload

from ...calc.memory.fit import read_size
from ...core.aliases import ENGINES as ENGINES_BY_NAME
from ...core.architecture import Architecture
from ...core.errors import InputError, SizeError, spelled
from ...core.record import changed
from ...core.setting import SIZE, Setting, check_values, known_choice, read_texts
from ...data import tables
from ...engines.hardware import check_engine, default_engine, refused_format
from ...engines.lengths import changed_config, length_notes, longest_request, start_length
from ...engines.profile import GIB, EngineProfile, read_profile, version_number
from ...engines.served_models import unserved
from ...engines.settings import read_engine_settings, setting_flags
from ...importers.engine_commands import read_command
from ...importers.modelfile import MODELFILE, RUN, is_modelfile
from ...inputs.gguf_names import dynamic_notes, dynamic_warnings, file_format
from ...inputs.gpus import ALL_GPUS, Gpus, gpu_list, read_gpus
from ...inputs.models import Source
from .cache import FULL, CacheGroup, CacheGroups
from .changes import GPUS, fewer_ranks, has_unsupported_dtype
from .drafts import Draft, find_draft, kept_drafts, state_copies, state_pool, steps_in_flight
from .encoders import (
    encoder_factor,
    encoder_notes,
    image_notes,
    served_encoder,
    served_images,
    served_stacks,
)
from .host import in_host_memory, within_unified_memory
from .llama_cpp_fit import capped_notes, fitted_settings
from .llama_cpp_models import llama_cpp_model
from .memory import RULES, EngineMemory, ModelBytes, default_share
from .models import (
    groups_of,
    layers_of,
    load_served,
    model_bytes,
    model_kinds,
    state_notes,
    step_sizes,
    stored_format,
)
from .ollama import modelfile_command, run_command
from .packed_layers import cache_refusals, cache_warnings, count_notes, packed_by_stage
from .start import LayoutError, ServeResult
from .states import NO_STATES

if TYPE_CHECKING:
    from ...search.front import ServingFront
    from ...search.pools import ServingPools
    from ...search.serving_gpus import ServingGpus
    from ...search.serving_search import ServingSearch
    from ..encoders import EncoderServing
    from ..result import ServingResult

ENGINES = ("vllm", "sglang", "tensorrt-llm", "llama.cpp")
SERVE = (
    Setting("gpu", SIZE, least=1), Setting("gpu_memory", SIZE, least=1), Setting("engine", choices=ENGINES),
    Setting("engine_version"),
)  # fmt: skip
AUTO, TP = "auto", "tp"
REQUESTS = (  # settings that ask for times
    "isl", "osl", "concurrency", "sla", "pareto", "prefill_pool", "api_price", "watts", "mix", "trace", "turns",
    "prefix_share",
)  # fmt: skip


@overload
def serve(
    model: Source | None = None, gpu: str | int | None = None, *, isl: int | str, osl: int | str,
    sla: str, **settings: Any,
) -> ServingSearch: ...  # fmt: skip


@overload
def serve(
    model: Source | None = None, gpu: str | int | None = None, *, isl: int | str, osl: int | str,
    concurrency: float = 1, **settings: Any,
) -> ServingResult: ...  # fmt: skip


@overload
def serve(model: Source | None = None, gpu: str | int | None = None, **settings: Any) -> ServeResult: ...


def serve(
    model: Source | None = None,
    gpu: str | int | None = None,
    *,
    command: str | Sequence[str] | None = None,
    engine: str | None = None,
    engine_version: str | None = None,
    gpu_memory: str | int | None = None,
    isl: int | str | None = None,
    osl: int | str | None = None,
    concurrency: float | None = None,
    sla: str | None = None,
    image: Iterable[str] = (),
    **settings: Any,
) -> ServeResult | ServingResult | ServingSearch | ServingFront | ServingPools | ServingGpus | EncoderServing:
    """Predict how a serving engine divides the memory of its GPUs, and the size of its KV cache.

    With ``isl``, ``osl`` and ``concurrency``, or with ``mix`` or ``trace`` in place of lengths, estimate the time of
    requests instead, as ``ServingResult`` describes.

    >>> import llmcalc
    >>> result = llmcalc.serve("llama3.1-8b", "h100", engine_version="0.11", max_model_len=16000)
    >>> print(result.summary)
    Starts: KV cache of 420,432 tokens, 26.3x concurrency at 16,000 tokens

    Args:
        model: an architecture, anything ``load`` reads, or the path of a Modelfile of Ollama.
        gpu: accelerator with an optional count, such as ``"h100:4"``, or the memory of one GPU. The count is the number
            of tensor-parallel ranks unless other parallelism or a command line, whose own defaults count, is given.
            With lengths of requests, also several, such as ``"h100:2,l40s:4"``, or ``"all"`` with a price, which are
            ordered by the price of tokens (``ServingGpus``).
        command: command line of the engine, as text or words, in place of ``model``, ``engine`` and settings.
        engine: serving engine (default: ``vllm``, or ``llama.cpp`` for its weight formats, and on Apple silicon and
            Radeon).
        engine_version: version of the engine (default: the newest one that is described).
        gpu_memory: memory of one GPU, such as ``"79.18GiB"`` (overrides the specification).
        isl: input tokens of a request.
        osl: output tokens of a request.
        concurrency: number of requests at any time (default: 1).
        sla: longest times of requests, such as ``"ttft<300ms,tpot<10ms"``, for which the fastest layouts are searched.
        image: sizes of images in pixels, such as ``["1024x768"]``, whose tokens are stated. With lengths, each request
            contains them in addition to ``isl``.
        settings: settings of the engine, such as ``tp``, ``max_model_len``, ``max_num_seqs``, ``cache`` or ``weights``.
            ``images_per_prompt=0`` loads no image encoder.
            For times also ``ep``, ``experts``, ``attention_weights`` and ``two_batch_overlap``, ``mix``, ``trace``,
            ``turns`` and ``prefix_share``, ``acceptance_length`` or ``acceptance_rate`` of speculative decoding, and
            ``calibration``, the result of ``calibrate`` or its file. ``pareto=True`` asks for the result of
            ``serving_front``, and ``prefill_pool="2xtp2"`` for two pools of GPUs. ``watts`` and ``api_price`` are for
            energy and a comparison with an API. An encoder, such as BERT, needs no ``osl``, and the result is its
            throughput.

    Raises:
        InputError: an unknown engine, flag or GPU, or an invalid setting.
        LayoutError: the engine does not start, as its number of ranks does not divide the model.
    """
    engine = ENGINES_BY_NAME.get(engine.lower(), engine) if isinstance(engine, str) else engine
    load = {"isl": isl, "osl": osl, "concurrency": concurrency, "sla": sla}
    if command is not None and not isinstance(command, str):
        command = read_texts(command, "command")
    if command is not None and not "".join(command).strip():
        raise InputError("is empty", parameter="command", hint="use a command line such as vllm serve Qwen/Qwen3-8B")
    several = gpu_list(gpu)
    if any({**settings, **load}.get(name) not in (None, False) for name in REQUESTS):
        from ..request import serving_request  # needed only by times

        check_values((Setting("engine_version"),), {"engine_version": engine_version})
        given = {**settings, **load, "engine": engine, "engine_version": engine_version}
        given |= {"image": tuple(read_texts(image, "image"))} if image else {}
        others = {"gpu_memory": gpu_memory}
        if several:
            from ...search.serving_gpus import search_gpus

            return search_gpus(model, several, given, command, others)
        return serving_request(model, gpu, given, command, others)
    if several:
        memory = "; for the memory alone, llmcalc fit MODEL {gpu=all}" if several == [ALL_GPUS] else ""
        hint = f"add the lengths of requests, such as {{isl=1000}} {{osl=500}} {{concurrency=16}}{memory}"
        raise InputError("GPUs are compared by the price of the tokens of requests", parameter="gpu", hint=hint)
    check_values(SERVE, {"gpu": gpu, "gpu_memory": gpu_memory, "engine": engine, "engine_version": engine_version})
    remarks: tuple[str, ...] = ()
    is_file = command is None and is_modelfile(model)
    if is_file:
        command, remarks = modelfile_command(model, engine, settings, _gpus(gpu, gpu_memory))
        model, engine, settings = None, None, {}
    pasted = None if command is None else read_command(command)
    if pasted is not None:
        if is_file:
            pasted = pasted._replace(program=MODELFILE)
        elif pasted.program == RUN:
            words, remarks = run_command(pasted, _gpus(gpu, gpu_memory))
            _, _, _, listed, _, _, environment, program, _ = pasted
            pasted = read_command(words)._replace(listed=listed, program=program, environment=environment)
        for name, value in (("model", model), ("engine", engine), *settings.items()):
            if value is not None:
                raise InputError("cannot be combined with a command line", parameter=name, hint="set it in the command")
        model, engine = pasted.model, pasted.engine
    if model is None:
        raise InputError("missing model", parameter="model", hint="add a model, or {command=COMMAND}")
    own = pasted.settings if pasted else {name: value for name, value in settings.items() if value is not None}
    asked = own
    gpus = _gpus(gpu, gpu_memory)
    architecture, title, weights, notes = load_served(model, is_repository=pasted is not None)
    if engine is None:
        assumed = default_engine(architecture, gpus.accelerator, own.get("weights"))
        engine, remarks = assumed.name, (*remarks, *map(spelled, assumed.notes))
    entry = tables("engines")[known_choice("engine", engine, ENGINES)]
    check_engine(engine, gpus.accelerator)
    own_format = weights or file_format(architecture, engine)
    read = read_engine_settings(own, entry, is_text=pasted is not None)
    if "weights" in read:
        remarks = (*remarks, *dynamic_notes(read["weights"]))
    given = stored_format(own_format, read)
    card = gpus.accelerator
    total = gpus.memory_bytes or (card.usable_bytes if card else 0)
    profile = read_profile(engine, entry, engine_version, card.name if card else "", total)
    profile = profile.for_model(model_kinds(architecture)) if profile.runners else profile
    images = tuple(read_texts(image, "image"))
    config = changed_config(engine, pasted)
    longest = longest_request(architecture, engine, pasted, config)

    def exact(change: Mapping[str, Any]) -> ServeResult:
        own = {name: value for name, value in change.items() if name != GPUS}
        there = changed(gpus, count=change.get(GPUS, gpus.count))
        result = _predict(architecture, profile, total, there, {**given, **own}, pasted is not None, config)
        unsupported = cache_refusals(result, own.get("cache") or asked.get("cache"))
        result = changed(result, refusals=(*unsupported, *result.refusals))
        result = changed(result, images=served_images(architecture, result.settings, images), longest_allowed=longest)
        if longest and result.max_model_len > longest:
            text = f"requests of {result.max_model_len:,} tokens exceed the {longest:,} positions of the model"
            result = changed(
                result, refusals=(*result.refusals, f"{text}; {entry['longer']['variable']}=1 allows them")
            )
        if text := refused_format(engine, card, result.settings.get("weights"), architecture):
            result = changed(result, refusals=(text, *result.refusals))
        told = changed(result, accelerator=card, given={**given, **own})
        if has_unsupported_dtype(told):
            no_bf16 = f"{card.title if card else 'the GPU'} does not compute in bf16; use fp16"
            result = changed(result, refusals=(no_bf16, *result.refusals))
        return changed(
            result,
            model=title,
            accelerator=card,
            command=pasted,
            warnings=(*result.warnings, *dynamic_warnings(result.settings.get("weights"))),
            given=given,
            notes=(
                *remarks,
                *notes,
                *_unused_gpus(result, there),
                *image_notes(result),
                *capped_notes(result),
                *length_notes(architecture, engine, isinstance(given.get("max_model_len"), int)),
                *result.notes,
            ),
        )

    def predict(change: Mapping[str, Any]) -> ServeResult:
        result = exact(change)
        chosen = fitted_settings(result, lambda more: exact({**change, **more}), {**given, **change})
        if chosen:
            result = changed(exact({**change, **chosen}), automatic=chosen)
        return changed(within_unified_memory(result), retry=predict)

    try:
        return predict({})
    except SizeError as error:
        ranks = given.get(TP, gpus.count)
        if error.parameter != TP or ranks is None or (pasted is None and TP in given):
            raise  # an option of llmcalc
        raise LayoutError(error, architecture, fewer_ranks(TP, ranks, predict)) from None


def _gpus(gpu: str | int | None, gpu_memory: str | int | None) -> Gpus:
    if gpu is None and gpu_memory is None:
        raise InputError("missing GPU", parameter="gpu", hint="use a name such as {gpu=h100:4}, or {gpu=24GiB}")
    found = read_gpus(gpu) if isinstance(gpu, str) else Gpus(None, gpu, None)
    if gpu_memory is None:
        return found
    given = read_size(gpu_memory, "gpu_memory") if isinstance(gpu_memory, str) else gpu_memory
    return changed(found, memory_bytes=given)


def _unused_gpus(result: ServeResult, gpus: Gpus) -> tuple[str, ...]:
    unused = (gpus.count or 0) - result.ranks
    return (f"the layout leaves {unused} of {gpus.count} GPUs unused",) if unused > 0 else ()


def _with_draft_outside(result: ServeResult, draft: Draft) -> ServeResult:
    """Return the result with a draft whose weights and cache SGLang does not count, but takes from the rest."""
    size = draft.weights + result.tokens.scaled(float(draft.row_bytes))
    note = f"the {draft.title} takes {size.best / GIB:.2f} GiB outside of {result.profile.share_name}"
    refusals = result.refusals
    if size.best > result.memory.activation.best:
        refusals = (*refusals, f"{note}, where {result.memory.activation.best / GIB:.2f} GiB are left")
    return changed(result, refusals=refusals, notes=(note, *result.notes))


def _predict(
    architecture: Architecture,
    profile: EngineProfile,
    total: int,
    gpus: Gpus,
    given: Mapping[str, Any],
    is_pasted: bool,
    config: Mapping[str, Any],
) -> ServeResult:
    settings = {**profile.settings, **given}
    n_replicas = 1 if settings.get("attention_dp") else settings.get("dp", 1)
    ranks = settings.get("tp", 1) * settings.get("pp", 1) * n_replicas
    splits_layers = profile.rule == "sum"  # over all GPUs without a flag
    if not {"tp", "pp", "dp"} & set(given) and gpus.count and (splits_layers or not is_pasted):
        settings["pp" if splits_layers else "tp"] = ranks = gpus.count
    is_auto = settings.get("max_model_len") == AUTO
    if is_auto or settings.get("max_model_len") is None:
        flag = setting_flags(profile.flags).get("max_model_len") if is_pasted else None
        short = settings.get("short_scaling", "")
        settings["max_model_len"] = start_length(architecture, profile.name, config, flag, short)
    if settings.get("attention_dp"):  # these ranks are a part of the tensor-parallel ranks
        settings["tp"] = max(settings.get("tp", 1) // settings.get("dp", 1), 1)
    settings |= step_sizes(settings, given)
    draft = find_draft(architecture, profile, settings)
    if profile.rule == "profiled":
        settings |= {"kept_drafts": kept_drafts(settings), "steps_in_flight": steps_in_flight(settings)}
    architecture, encoder = served_stacks(architecture, settings), served_encoder(architecture, settings)
    usual = default_share(settings, total, ranks, draft.method if draft else "") if "share" not in given else None
    share = settings["share"] if usual is None else usual
    settings["share"] = share * encoder_factor(encoder, settings, "share" in given)
    refusals = []
    if gpus.count and ranks > gpus.count:
        refusals.append(f"the layout needs {ranks} GPUs, and there are {gpus.count}")
    if text := unserved(profile.name, architecture):
        refusals.append(text)
    placed, counts_draft = None, settings.get("counts_drafts", True)
    if profile.rule == "sum":
        build = version_number(profile.version)[0]
        placed = llama_cpp_model(architecture, settings, build, state_copies(settings, profile.rule))
        if draft:
            placed = placed.with_draft(draft.placed(architecture, settings, build))
    loaded = draft.loaded(placed, profile) if draft else ()
    own = model_bytes(architecture, profile, settings, placed, loaded if counts_draft else ())
    refusals += own.refusals
    if "startup" in profile.constants and settings["share"] * total > (free := total - profile.startup_bytes):
        share = f"{profile.share_name} {settings['share']:g}"
        refusals.append(f"{share} exceeds the {free / GIB:.2f} GiB that are free before it starts")
    own_profile = changed(profile, settings=settings)

    def divide(sizes: ModelBytes) -> EngineMemory:
        return RULES[profile.rule](sizes, total, own_profile, not settings.get("enforce_eager"))

    memory, first = divide(own), None
    if placed:  # a block is the cache of the whole context on a GPU
        cache = Fraction(placed.largest.cache)
        groups = CacheGroups((CacheGroup(FULL, 0, settings["max_model_len"], 1),), cache)
    else:
        cached = draft.cached(layers_of(architecture, settings), profile) if draft and counts_draft else ()
        states = state_pool(settings, given, draft is not None) if profile.rule == "static" else NO_STATES
        if settings.get("packing"):
            counted = draft if counts_draft else None
            other = counted.layers if counted and counted.architecture else ()
            by_stage = packed_by_stage(architecture, settings, counted.stage if counted else None, other)
        else:
            by_stage = groups_of(architecture, settings, profile.rule, cached, states)
        groups = max(by_stage.values(), key=lambda each: each.block_bytes)
        if profile.rule == "profiled" and settings.get("pp", 1) > 1:  # all get the blocks of the stage with the fewest
            stages = [
                divide(model_bytes(architecture, profile, settings, None, loaded, number))
                for number in range(settings["pp"])
            ]
            fewest = min(by_stage, key=lambda number: stages[number].available.best / by_stage[number].block_bytes)
            memory, groups = stages[fewest], by_stage[fewest]
            first = stages[0] if settings["first_rank_logs"] else None
    result = ServeResult(
        architecture, architecture.name, own_profile, None, settings, memory, groups, refusals=tuple(refusals),
        notes=(
            *(draft.notes if draft else ()), *state_notes(architecture, settings),
            *encoder_notes(encoder, own, settings),
        ),
        placed=placed, encoder=own.encoder, first_stage=first, warnings=cache_warnings(architecture, settings),
    )  # fmt: skip
    notes = count_notes(result.concurrency.best, result.request_blocks, result.blocks.best, result.engine_title)
    result = changed(result, notes=(*notes, *result.notes)) if groups.counted_bytes else result
    if settings.get("two_batch_overlap"):
        note = "the effect of two-batch overlap on the memory is not computed"
        result = changed(result, notes=(note, *result.notes))
    if draft and not counts_draft:
        result = _with_draft_outside(result, draft)
    result = changed(result, **in_host_memory(result, own.offloaded))
    if is_auto and result.longest and not placed:  # llama.cpp keeps the length of the model
        fitted = {"max_model_len": result.longest, "needs_whole_request": False}  # a shorter one if less memory is left
        result = changed(result, settings={**settings, **fitted})
    return result
