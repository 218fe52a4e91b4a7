"""What a serving engine does before the first request: its division of the memory of each GPU, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from ...core.architecture import Architecture
from ...core.record import changed, remembered
from ...core.type_names import TYPE_CHECKING, Any
from ...engines.hardware import refused_format, refuses_dtype
from ...engines.lengths import length_notes, start_length
from ...engines.profile import GIB, EngineProfile, version_number
from ...engines.served_models import unserved
from ...engines.settings import AUTO, setting_flags
from ...inputs.gguf_names import dynamic_warnings
from ...inputs.gpus import Gpus
from .asked_drafts import NONE, asked_draft, kept_drafts, state_copies, state_pool, steps_in_flight
from .cache import FULL, CacheGroup, CacheGroups
from .encoders import encoder_factor, encoder_notes, image_notes, served_encoder, served_images, served_stacks
from .host import in_host_memory, within_unified_memory
from .llama_cpp_fit import capped_notes, fitted_settings
from .memory import PROFILED, RULES, MemoryDivision, ModelBytes, default_share
from .models import groups_of, kept_states, layers_of, model_bytes, state_notes, step_sizes
from .packed_layers import cache_refusals, cache_warnings, count_notes, packed_by_stage
from .start import Start
from .states import NO_STATES

if TYPE_CHECKING:
    from ...core.interval import Interval
    from ..deployment import Deployment
    from .drafts import Draft


def start(deployment: Deployment) -> Start:
    """Return how an engine starts, with the settings that llama.cpp chooses by itself if the model does not fit.

    Raises:
        SizeError: a number of ranks that does not divide the model.
    """
    change = deployment.change
    result = _exact(deployment)
    chosen = fitted_settings(
        result, lambda more: _exact(deployment.with_change({**change, **more})), deployment.settings
    )
    if chosen:
        result = changed(_exact(deployment.with_change({**change, **chosen})), automatic=chosen)
    return within_unified_memory(result)


def _exact(deployment: Deployment) -> Start:
    """Return how an engine starts with the settings as they are."""
    architecture, engine = deployment.architecture, deployment.engine
    result, cache = _divide_memory(deployment), deployment.change.get("cache") or deployment.asked_cache
    refusals = [*_refused_formats(deployment, result), *cache_refusals(result, cache), *result.refusals]
    refusals += filter(None, [deployment.limit.refusal(result.longest_sequence)])
    result = changed(
        result, images=served_images(architecture, result.settings, deployment.images), refusals=tuple(refusals),
        warnings=(*result.warnings, *dynamic_warnings(result.settings.get("weights"))),
    )  # fmt: skip
    is_length_given = isinstance(deployment.given.get("max_model_len"), int)
    notes = (
        *deployment.notes, *_unused_gpus(result, deployment.gpus), *image_notes(result), *capped_notes(result),
        *length_notes(architecture, engine, is_length_given), *result.notes,
    )  # fmt: skip
    return changed(result, notes=notes)


def _refused_formats(deployment: Deployment, result: Start) -> list[str]:
    """Return why the GPU does not compute in the number formats of the activations or of the weights."""
    card, found = deployment.accelerator, list[str]()
    if refuses_dtype(deployment.engine, card, deployment.settings.get("dtype")):
        found.append(f"{card.title if card else 'the GPU'} does not compute in bf16; use fp16")
    text = refused_format(deployment.engine, card, result.settings.get("weights"), deployment.architecture)
    return [*found, text] if text else found


def _divide_memory(deployment: Deployment) -> Start:
    """Return how an engine divides the memory of a GPU, by its own rule."""
    architecture, profile, total = deployment.architecture, deployment.profile, deployment.memory_bytes
    given, rule = deployment.settings, profile.rule
    settings, ranks, is_auto = _layout_and_length(deployment)
    settings |= step_sizes(settings, given)
    draft = find_draft(architecture, profile, settings)
    if rule == PROFILED:
        settings |= {"kept_drafts": kept_drafts(settings), "steps_in_flight": steps_in_flight(settings)}
        settings["kept_states"] = kept_states(architecture, settings)
    architecture, encoder = served_stacks(architecture, settings), served_encoder(architecture, settings)
    usual = default_share(settings, total, ranks, draft.method if draft else "") if "share" not in given else None
    share = settings["share"] if usual is None else usual
    settings["share"] = share * encoder_factor(encoder, settings, "share" in given)
    placed, counts_draft = None, settings.get("counts_drafts", True)
    if rule == "sum":
        from .llama_cpp_models import llama_cpp_model  # needed only by llama.cpp

        build = version_number(profile.version)[0]
        placed = llama_cpp_model(architecture, settings, build, state_copies(settings, rule))
        placed = placed.with_draft(draft.placed(architecture, settings, build)) if draft else placed
    loaded = draft.loaded(placed, profile) if draft else ()
    counted, own_profile = loaded if counts_draft else (), changed(profile, settings=settings)

    def sizes_of(drafts: Sequence[tuple[str, Interval]], number: int | None = None) -> ModelBytes:
        """Return the sizes of a stage (default: the largest), once for all kinds of GPUs with the same settings."""
        if placed:
            return model_bytes(architecture, profile, settings, placed, drafts)
        key = (rule, *profile.padding.items(), repr(settings), drafts, number)
        return remembered(
            architecture, "_model_bytes", key,
            lambda: model_bytes(architecture, profile, settings, None, drafts, number),
        )  # fmt: skip

    own = sizes_of(counted)

    def divide(sizes: ModelBytes) -> MemoryDivision:
        return RULES[rule](sizes, total, own_profile)

    memory, first = divide(own), None
    if placed:  # a block is the cache of the whole context on a GPU
        groups = CacheGroups((CacheGroup(FULL, 0, settings["max_model_len"], 1),), Fraction(placed.largest.cache))
    else:
        by_stage = _cache_groups(architecture, own_profile, given, draft if counts_draft else None, draft is not None)
        groups = max(by_stage.values(), key=lambda each: each.block_bytes)
        if rule == PROFILED and settings.get("pp", 1) > 1:  # all get the blocks of the stage with the fewest
            stages = [divide(sizes_of(loaded, number)) for number in range(settings["pp"])]
            fewest = min(by_stage, key=lambda number: stages[number].available.best / by_stage[number].block_bytes)
            memory, groups = stages[fewest], by_stage[fewest]
            first = stages[0] if settings["first_rank_logs"] else None
    result = Start(
        deployment, architecture, own_profile, settings, memory, groups,
        refusals=(
            *_refusals(deployment, architecture, ranks), *own.refusals, *_refused_share(own_profile, total),
        ),
        notes=(
            *(draft.notes if draft else ()), *state_notes(architecture, settings),
            *encoder_notes(encoder, own, settings),
        ),
        placed=placed, encoder=own.encoder, first_stage=first, warnings=cache_warnings(architecture, settings),
    )  # fmt: skip
    if profile.rule == PROFILED:
        result = changed(result, notes=(*count_notes(result), *result.notes))
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


def _layout_and_length(deployment: Deployment) -> tuple[dict[str, Any], int, bool]:
    """Return the settings with the default layout and length, the number of ranks, and whether the length is free."""
    profile, given = deployment.profile, deployment.settings
    settings, is_pasted = {**profile.settings, **given}, deployment.command is not None
    n_replicas = 1 if settings.get("attention_dp") else settings.get("dp", 1)
    ranks = settings.get("tp", 1) * settings.get("pp", 1) * n_replicas
    is_auto = settings.get("max_model_len") == AUTO
    if is_auto or settings.get("max_model_len") is None:
        flag = setting_flags(profile.flags).get("max_model_len") if is_pasted else None
        short = settings.get("short_scaling", "")
        settings["max_model_len"] = start_length(deployment.architecture, profile.name, deployment.config, flag, short)
    if settings.get("attention_dp"):  # these ranks are a part of the tensor-parallel ranks
        settings["tp"] = max(settings.get("tp", 1) // settings.get("dp", 1), 1)
    return settings, ranks, is_auto


def find_draft(architecture: Architecture, profile: EngineProfile, settings: Mapping[str, Any]) -> Draft | None:
    """Return what drafts tokens for a model, or None. Methods that look tokens up need no memory of a GPU."""
    asked = asked_draft(settings)
    if asked is None or asked.method == NONE:
        return None
    from .drafts import read_draft  # needed only by a model that drafts tokens

    return read_draft(asked, architecture, profile, settings)


def _cache_groups(
    architecture: Architecture, profile: EngineProfile, given: Mapping[str, Any], counted: Draft | None, drafts: bool
) -> Mapping[int, CacheGroups]:
    """Return the groups of cached layers of each pipeline stage, with the layers of a draft if the engine counts it."""
    settings = profile.settings
    cached = counted.cached(layers_of(architecture, settings), profile) if counted else ()
    states = state_pool(settings, given, drafts) if profile.rule == "static" else NO_STATES
    if settings.get("packing"):
        other = counted.layers if counted and counted.architecture else ()
        return packed_by_stage(architecture, settings, counted.stage if counted else None, other)
    return groups_of(architecture, settings, profile.rule, cached, states)


def _refusals(deployment: Deployment, architecture: Architecture, ranks: int) -> list[str]:
    """Return why the engine does not start on the GPUs, or with the model."""
    count = deployment.gpus.count
    found = [f"the layout needs {ranks} GPUs, and there are {count}"] if count and ranks > count else []
    return [*found, *filter(None, [unserved(deployment.engine, architecture)])]


def _refused_share(profile: EngineProfile, total: int) -> list[str]:
    """Return why the engine does not start: its share of the memory exceeds what is free before the start."""
    share = profile.settings["share"]
    if "startup" not in profile.constants or share * total <= (free := total - profile.startup_bytes):
        return []
    return [f"{profile.share_name} {share:g} exceeds the {free / GIB:.2f} GiB that are free before it starts"]


def _unused_gpus(result: Start, gpus: Gpus) -> tuple[str, ...]:
    unused = (gpus.count or 0) - result.ranks
    return (f"the layout leaves {unused} of {gpus.count} GPUs unused",) if unused > 0 else ()


def _with_draft_outside(result: Start, draft: Draft) -> Start:
    """Return the result with a draft whose weights and cache SGLang does not count, but takes from the rest."""
    size = draft.weights + result.tokens.scaled(float(draft.row_bytes))
    note = f"the {draft.title} takes {size.best / GIB:.2f} GiB outside of {result.profile.share_name}"
    refusals = result.refusals
    if size.best > result.memory.activation.best:
        refusals = (*refusals, f"{note}, where {result.memory.activation.best / GIB:.2f} GiB are left")
    return changed(result, refusals=refusals, notes=(note, *result.notes))
