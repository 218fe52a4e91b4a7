"""Buffers of llama.cpp: streams of sequences, windows, latents and states."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc.serving.start.llama_cpp_cache import CacheOptions, LlamaCppCache, llama_cpp_cache, llama_cpp_groups

MIB, LONG = 2**20, 2**20
SMALL = ("n_layers=18", "n_heads=4", "n_kv_heads=1", "d_head=256", "window=512", "d_model=640", "d_ff=2048")


def buffers(model: str, overrides: tuple[str, ...] = (), kinds: str = "fp16 fp16", **options: int) -> LlamaCppCache:
    architecture = llmcalc.load(model, overrides=overrides)
    states = (llmcalc.state(architecture, seq=LONG, cache=kind, extend=True) for kind in kinds.split())
    own = CacheOptions(**options)
    return llama_cpp_cache(llama_cpp_groups(*states, own), own)


@pytest.mark.parametrize(
    ("context", "parallel", "mib"),
    # unslothai/unsloth pull request 7530: what llama-server (build 10107) allocates for Gemma 3 270M
    [(1024, 3, 27.0), (1024, 4, 18.0)],
)
def test_sequences_have_streams_of_whole_cells(context: int, parallel: int, mib: float) -> None:
    found = buffers("gemma3-4b", SMALL, context=context, parallel=parallel)
    assert found.total == mib * MIB


def test_a_window_grows_with_the_batch_and_a_unified_buffer_with_the_sequences() -> None:
    model = llmcalc.load("gpt-oss-20b")
    layers, row = 12, 2 * 8 * 64 * 2
    for options, cells in (
        ({}, 768),
        ({"ubatch": 128}, 256),
        ({"ubatch": 2048}, 2304),
        ({"parallel": 4, "unified": True}, 1024),
        ({"parallel": 4}, 4 * 768),
    ):
        assert buffers(model.name, context=131072, **options).window == cells * layers * row
    found = buffers(model.name, context=8192, swa_full=True)
    assert (found.full, found.window) == (2 * layers * row * 8192, 0)
    assert buffers(model.name, context=8192, build=5_433) == found


@pytest.mark.parametrize(
    ("options", "elements"),
    [
        ({}, 576), ({"build": 7_819}, 576 + 512), ({"build": 5_129}, 128 * (192 + 128)),
        ({"mla": 0}, 128 * (192 + 128)), ({"mla": 1, "flash_attention": False}, 576 + 512), ({"mla": 3}, 576),
    ],
)  # fmt: skip
def test_latents_or_heads_are_cached(options: dict[str, int], elements: int) -> None:
    assert buffers("deepseek-v3", context=512, **options).total == 61 * 512 * elements * 2


def test_keys_of_an_indexer_are_no_latents() -> None:
    """The keys of 128 channels, which select the latents, are cached once, whatever the latents stand for."""
    for options in ({}, {"mla": 0}, {"mla": 1, "flash_attention": False}):
        both, latents = (buffers(name, context=512, **options).total for name in ("deepseek-v3.2", "deepseek-v3"))
        assert both - latents == 61 * 512 * 128 * 2


def test_summaries_stand_for_no_heads() -> None:
    assert buffers("deepseek-v4-flash", context=512, mla=0) == buffers("deepseek-v4-flash", context=512)


def test_keys_and_values_have_formats_of_their_own() -> None:
    both = buffers("llama3.1-8b", kinds="q8_0 fp16", context=512).total
    assert both == 32 * 512 * 1024 // 32 * (34 + 64)


def test_states_are_stored_in_fp32_for_each_sequence() -> None:
    found = buffers("qwen3.5-27b", context=512, parallel=3)
    assert found.states == 3 * 48 * (48 * 128 * 128 + 3 * 10240) * 4


def test_cells_without_flash_attention_were_fewer() -> None:
    small, large = (buffers("llama3.1-8b", context=33, build=build, flash_attention=False) for build in (6_889, 6_890))
    assert (small.total, large.total) == (64 * 131072, 256 * 131072)


def test_chunks_are_cached_like_windows() -> None:
    """llama.cpp gives the chunked layers of Llama 4 the buffer of a window of 8,192 tokens [llama-model.cpp]."""
    found = buffers("llama4", context=131072)
    assert found.window == 36 * 2 * 8 * 128 * 2 * (8192 + 512)
    assert found.full == 12 * 2 * 8 * 128 * 2 * 131072


def test_only_early_builds_of_the_fork_cache_layers_that_it_does_not_run() -> None:
    """Pull request 843 of ik_llama.cpp; builds of llama.cpp have other numbers."""
    found = [
        CacheOptions(4096, build=build, **own).caches_unused_layers
        for own in ({"is_fork": True}, {"is_fork": False}, {})
        for build in (3917, 3918, None)
    ]
    assert found == [True, False, False, *[False] * 6]


def test_an_encoder_in_llama_cpp_has_no_cache() -> None:
    texts = [llmcalc.serve(model, "h100", engine="llama.cpp").summary for model in ("bert", "mamba:130m", "gpt2")]
    assert [text.split(": ")[1].split(",")[0].split(" in ")[0] for text in texts] == [
        "no KV cache", "recurrent states", "KV cache of 1",
    ]  # fmt: skip
