"""What a request occupies in the cache of an engine, counted anew from the states of the model, and by every door."""

from __future__ import annotations

from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmcalc
from llmcalc.serving.start.cache import FULL, STATE, WINDOW
from llmcalc.serving.start.pool import CachePool, PoolGroup

LENGTHS = (2039, 32_749)


def start(model: str, tokens: int, **settings: Any) -> Any:
    return llmcalc.serve(model, **{"gpu": "h200:8", "max_model_len": tokens, **settings})


def growth(model: str) -> int:
    """Bytes per token of a long request."""
    long, longer = (llmcalc.state(model, seq=2**21 + own, extend=True).bytes for own in (0, 1))
    return int(longer - long)


@pytest.mark.parametrize("tokens", LENGTHS)
@pytest.mark.parametrize("model", ["llama3.1-8b", "qwen3-30b-a3b", "deepseek-v2-lite", "olmoe-1b-7b"])
def test_pages_of_vllm_store_whole_blocks_of_all_layers(model: str, tokens: int) -> None:
    found = start(model, tokens, gpu="h200", engine="vllm")
    block = found.settings["block_size"]
    assert found.pool.bytes_of(tokens) == ceil(tokens / block) * block * growth(model)


@pytest.mark.parametrize("model", ["deepseek-v3.2", "glm-5"])
def test_an_indexer_stores_keys_of_all_tokens_of_which_a_step_reads_some(model: str) -> None:
    found = {tokens: start(model, tokens, tp=8, weights="fp8").pool for tokens in LENGTHS}
    few, many = (pool.bytes_of(tokens) / tokens for tokens, pool in found.items())
    assert many == pytest.approx(few, rel=0.05)  # 2,048 of them are read
    assert many > 0.7 * growth(model)  # in formats of its own


@pytest.mark.parametrize(("cache", "latents"), [(None, 2 * 576), ("fp8", 656)])
def test_keys_of_an_indexer_have_132_bytes_in_vllm(cache: str | None, latents: int) -> None:
    """DeepseekV32IndexerCache of vLLM: 128 values in fp8 and a scale in fp32, in 64 tokens per block."""
    found = start("glm-5", 4096, tp=8, weights="fp8", engine="vllm", cache=cache)
    assert found.pool.bytes_of(64) == found.pool.bytes_of(1) == 64 * 78 * (latents + 132)


@pytest.mark.parametrize(
    ("version", "states"), [("0.14", 1), ("0.15", 2), ("0.28", 2)], ids=["disabled", "aligned", "aligned since"]
)
def test_prefix_caching_keeps_states_by_version(version: str, states: int) -> None:
    own = start("qwen3.5-27b", 8192, gpu="h200", engine="vllm", engine_version=version, prefix_caching=True)
    assert own.request_blocks == 11 + 3 * states


@pytest.mark.parametrize(("version", "each"), [("0.11.0", False), ("0.14", True), ("0.27", True), ("0.28", False)])
def test_mamba_2_keeps_a_state_of_every_block_before_0_28(version: str, each: bool) -> None:
    """mamba_cache_mode is `all` by default: chunks divide the blocks, and each of them has a state in all groups."""
    own = start("nemotron-3-nano", 65_536, gpu="h200", engine="vllm", engine_version=version, prefix_caching=True)
    states, attention = own.groups.groups
    assert attention.block_size % 128 == (0 if each else attention.block_size % 16 or 48)
    blocks = ceil(65_536 / attention.block_size)
    kept = 1 if version == "0.11.0" else 2
    assert own.request_blocks == blocks + states.n_groups * (blocks if each else kept)
    assert own.pool.bytes_of(65_536) == own.request_blocks * own.groups.block_bytes
    assert (own.pool.shared_bytes(65_536) > blocks * own.groups.block_bytes) == each


def test_the_tail_of_a_pooled_indexer_is_one_block_per_request() -> None:
    """GLM-5.3-Flash on eight ranks: 640 tokens align a state with latents alone, and 11 layers also store keys."""
    found = start("glm-5.3-flash", 262_144, tp=8, weights="fp8", engine="vllm", prefix_caching=False)
    assert found.groups.block_bytes == 11 * 640 * (1024 + 132 // 4)
    assert found.request_blocks == ceil(262_144 / 640) + 4 + 1
    assert found.pool.bytes_of(262_144) == found.request_blocks * found.groups.block_bytes


@pytest.mark.parametrize("tokens", LENGTHS)
def test_windows_of_vllm_hold_their_last_tokens_in_groups_of_equal_layers(tokens: int) -> None:
    """Gemma 3 27B has 10 layers with all tokens, and 52 with 1,024, which are 6 groups of 10 with padding."""
    found = start("gemma3-27b", tokens, gpu="h200", engine="vllm")
    row, block = growth("gemma3-27b") // 10, found.settings["block_size"]
    assert block == 16
    blocks = ceil(tokens / block) + 6 * ceil(min(1024 + block - 1, tokens) / block)
    assert found.pool.bytes_of(tokens) == 10 * block * row * blocks
    assert found.concurrency.best < found.pool.requests(tokens) or tokens < 8192


def test_a_request_of_sglang_needs_states_beside_its_tokens() -> None:
    found = start("nemotron-h-56b", 2039, engine="sglang", tp=8)
    states, tokens = found.pool.most, found.pool.space / found.pool.bytes_of(2039)
    assert found.concurrency.best == min(states, tokens) == states < tokens
    own = llmcalc.state("nemotron-h-56b", seq=1).bytes / 8
    pool = float(found.groups.states.size(found.memory.available.best))
    per_request = found.settings["states_per_request"]
    assert states == pytest.approx(pool / own / per_request, rel=0.1)


@pytest.mark.parametrize("tokens", LENGTHS)
@pytest.mark.parametrize("model", ["llama3.1-8b", "gemma3-27b", "nemotron-h-56b", "gpt-oss-20b"])
def test_buffers_of_llama_cpp_are_what_a_sequence_occupies(model: str, tokens: int) -> None:
    found = start(model, tokens, gpu="h200", engine="llama.cpp")
    assert found.buffers.total == found.pool.bytes_of(tokens)
    assert found.concurrency.best == pytest.approx(found.pool.requests(tokens))


@pytest.mark.parametrize("tokens", LENGTHS)
@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm", "llama.cpp"])
@pytest.mark.parametrize(
    "model",
    ["llama3.3-70b", "deepseek-v3.2", "glm-5", "deepseek-v4-flash", "gemma3-27b", "nemotron-h-56b", "gpt-oss-120b",
     "qwen3.5-27b", "llama4-scout"],
)  # fmt: skip
def test_times_run_as_many_requests_as_the_cache_holds(model: str, engine: str, tokens: int) -> None:
    own: dict[str, Any] = {"engine": engine, "gpu": "h200:8"} | ({} if engine == "llama.cpp" else {"tp": 8})
    own |= {"weights": "q4_k_m" if engine == "llama.cpp" else "fp8"}
    held = start(model, tokens, **own).pool.requests(tokens)
    times = llmcalc.serve(model, isl=tokens - 2, osl=2, concurrency=90_000, **own)
    if times.too_long:
        assert (times.to_dict()["capacity"], times.tpot_s, times.ttft_s, times.running) == (0, None, None, 0)
    else:
        assert times.to_dict()["capacity"] == pytest.approx(held, rel=0.02)


@given(st.integers(1, 10**6), st.integers(1, 64), st.integers(1, 10**5))
def test_a_pool_never_holds_more_than_its_space(tokens: int, block: int, window: int) -> None:
    groups = (PoolGroup(FULL, 0, block, 7.0), PoolGroup(WINDOW, window, block, 11.0), PoolGroup(STATE, 0, 1, 13.0))
    pool = CachePool(groups, 1e9)
    assert pool.requests(tokens) * pool.bytes_of(tokens) <= 1e9 * (1 + 1e-12)
    assert pool.bytes_of(tokens) <= pool.bytes_of(tokens + 1)
    assert pool.shared_bytes(tokens) <= pool.bytes_of(tokens)
    assert pool.bytes_of(10**9) - pool.bytes_of(10**9 - 1000 * block) == 7000  # only layers that keep all tokens grow
