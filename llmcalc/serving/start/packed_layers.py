"""Layers of a model that vLLM packs into blocks because their pages differ in size, as in DeepSeek-V4."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress

from ...calc.kv_cache import SHORT, state
from ...calc.pipeline_stages import pipeline_stages
from ...core.architecture import Architecture
from ...core.errors import spelled
from ...core.record import remembered
from ...core.type_names import Any
from ...engines.settings import AUTO
from .cache import FULL, WINDOW, CacheGroups, CacheLayer, round_up
from .packed_cache import Page, compressed_pages, is_compressed, packed_groups
from .start import Start

FP4_INDEX = {"use_fp4_indexer_cache": "true", "indexer_kv_dtype": "mxfp4"}  # keys of vLLM's attention config
DIFFERENT = 0.05  # share by which a log counts other requests than those that run


def pages_of(stage: Architecture, settings: Mapping[str, Any]) -> tuple[Page, ...]:
    """Return the pages of a model or of a pipeline stage. All tensor-parallel ranks have the same ones."""
    rule = dict(settings["compressed"])
    if _has_fp4_index(settings):
        rule["records"] = {**rule["records"], "index": rule["fp4_index"]}
    return compressed_pages(state(stage, seq=SHORT, extend=True), rule, settings["block_size"])


def _has_fp4_index(settings: Mapping[str, Any]) -> bool:
    """Return whether the attention config stores the keys of the indexer in MXFP4."""
    with suppress(ValueError):
        found = json.loads(settings.get("attention_config") or "{}")
        return isinstance(found, dict) and any(str(found.get(key)).lower() == value for key, value in FP4_INDEX.items())
    return False


def packed_by_stage(
    architecture: Architecture,
    settings: Mapping[str, Any],
    prediction: Architecture | None = None,
    drafts: Sequence[CacheLayer] = (),
) -> dict[int, CacheGroups]:
    """Return the groups of cached layers on one rank, by the number of the pipeline stage.

    The last stage also caches the layers that draft tokens: a layer for multi-token prediction, which attends to its
    window only, or those of a draft model.
    """
    rule, size = settings["compressed"], settings["block_size"]
    drafted = [
        Page(each.kind, each.window, size, round_up(int(each.bytes * size), rule["alignment"]), each.n_layers)
        for each in drafts
    ]
    if prediction:
        own = pages_of(prediction, settings)
        drafted += [page for page in own if page.kind == WINDOW and page.block_size == rule["window_block"]]
    whole = (*pages_of(architecture, settings), *drafted)
    stages, found = pipeline_stages(architecture, settings.get("pp", 1), uneven=True), {}
    is_grouped = settings["cache_groups"] and not settings.get("disable_cache_groups")
    for number, stage in enumerate(stages):
        pages = [*pages_of(stage, settings), *(drafted if stage is stages[-1] else ())]
        if not is_grouped:
            pages = [_full(page, size, rule["alignment"]) for page in pages]
        own_whole = whole if is_grouped else ()
        found[number] = packed_groups(pages, settings["packing"], own_whole, settings["counts_bytes"])
    return found


def _full(page: Page, block_size: int, alignment: int) -> Page:
    """Return the page of a window that is cached like all tokens, in blocks of the same size."""
    if page.kind == FULL:
        return page
    size = round_up(page.bytes * block_size // page.block_size, alignment)
    return Page(FULL, 0, block_size, size, page.n_layers)


def cache_refusals(result: Start, cache: str | None) -> tuple[str, ...]:
    """Return why an engine does not start with a format or blocks of the cache, for a model with compressed tokens."""
    allowed, asked = result.settings.get("compressed_caches"), (cache or AUTO).lower().split("_")[0]
    if not allowed:
        return ()
    found, tokens = [], result.settings["compressed"]["kernel_block"]
    if asked not in allowed:
        name = result.architecture.name
        found.append(f"{result.engine_title} caches compressed tokens of {name} only in {allowed[0]}")
    if (size := result.settings["block_size"]) % tokens:
        text = f"kernels for compressed tokens need blocks of a multiple of {tokens} tokens, not {size}"
        found.append(f"{text}: omit {{block_size}}")
    return tuple(map(spelled, found))


def cache_warnings(architecture: Architecture, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a warning if tokens are compressed in the cache and the engine's rules for it are not modelled."""

    def compresses() -> bool:
        tensors = state(architecture, seq=1, extend=True).tensors
        return any(is_compressed(length) for tensor in tensors for _, length in tensor.factors)

    if settings.get("packing") or not remembered(architecture, "_compresses_tokens", None, compresses):
        return ()
    rules = "layers that compress several tokens into one are grouped by rules of each engine, which are not modelled"
    return (f"{rules}: the cache may hold many times as many requests",)


def count_notes(result: Start) -> tuple[str, ...]:
    """Return a note if the log of the engine counts other requests than those that the cache holds."""
    logged, held = result.concurrency.best, result.pool.requests(result.max_model_len)
    if abs(held - logged) <= DIFFERENT * logged or result.is_recurrent:
        return ()
    log = f"the log counts requests as they are in their largest step of prefill ({logged:,.1f})"
    return (f"{log}; the cache holds {held:,.1f} that decode",)
