"""KV cache of DeepSeek-V4 in vLLM."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.engines.profile import GIB

FLASH, PRO = "deepseek-v4-flash", "deepseek-v4-pro"


def served(model: str, version: str, size: float, **settings: Any) -> Any:
    own = {"tp": 8, "cache": "fp8", "max_num_batched_tokens": 8192, "expert_parallel": True, **settings}
    return llmcalc.serve(model, "b200-180gb:8", engine_version=version, kv_cache_memory=round(size), **own)


# What vLLM's own functions return for these layers: get_kv_cache_groups, _pool_bytes_per_block,
# get_max_concurrency_for_kv_cache_config and _max_memory_usage_bytes_from_groups. From 0.26, two steps are in flight.
@pytest.mark.parametrize(
    ("version", "model", "groups", "block", "concurrency", "needed"),
    [
        ("0.20.1", FLASH, 5, 1051776, 14.449823071479122, 7835731200),
        ("0.22", PRO, 5, 1482048, 10.173992416795395, 11041257600),
        ("0.23", FLASH, 5, 1039680, 14.61797593772116, 7835731200),
        ("0.26", FLASH, 5, 1039680, 10.314191550983722, 11336041728),
        ("0.26", PRO, 5, 1473408, 7.19814302647175, 15973513344),
        ("0.27.1", FLASH, 5, 1002240, 9.94006309148265, 11336041728),
        ("0.29", FLASH, 5, 1002240, 9.94006309148265, 10802142720),
        ("0.33", PRO, 5, 1435968, 6.937650770087215, 15476863104),
    ],
)
def test_blocks_and_requests_by_version(
    version: str, model: str, groups: int, block: int, concurrency: float, needed: int
) -> None:
    found = served(model, version, 100 * GIB, max_model_len=1048576)
    assert (found.groups.n_groups, found.groups.block_bytes) == (groups, block)
    assert found.concurrency.best == pytest.approx(concurrency, rel=1e-12)
    assert found.request_blocks * (found.groups.checked_bytes or block) == needed
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("version", "model", "settings", "groups", "block", "concurrency"),
    [
        ("0.22", FLASH, {"draft_method": "mtp", "draft_tokens": 1}, 6, 963072, 11.429010763710917),
        ("0.26", PRO, {}, 6, 1352448, 5.089102564102564),
        ("0.33", FLASH, {"draft_method": "mtp", "draft_tokens": 1}, 5, 917568, 9.467637540453074),
    ],
)
def test_an_indexer_in_fp4_has_smaller_pages(
    version: str, model: str, settings: dict[str, Any], groups: int, block: int, concurrency: float
) -> None:
    """Also from vLLM's own functions. In older versions, its sums then need the pages of the largest size."""
    own = {"attention_config": '{"use_fp4_indexer_cache": true}', "max_num_batched_tokens": 2048, **settings}
    found = served(model, version, 20 * GIB, max_model_len=200000, **own)
    assert (found.groups.n_groups, found.groups.block_bytes) == (groups, block)
    assert found.concurrency.best == pytest.approx(concurrency, rel=1e-12)


def test_a_log_of_two_gh200_is_explained() -> None:
    """vllm-project/vllm#44376: 6.66 GiB are needed for 30,000 tokens, and 5.44 GiB are enough for 13,528."""
    found = served(FLASH, "0.22", 5.44 * GIB, max_model_len=30000, max_num_batched_tokens=16384)
    assert found.reason == "a request of 30,000 tokens needs 6.66 GiB of KV cache, and 5.44 GiB are left"
    assert served(FLASH, "0.22", 5.435 * GIB, max_model_len=30000, max_num_batched_tokens=16384).longest <= 13528
    assert served(FLASH, "0.22", 5.445 * GIB, max_model_len=30000, max_num_batched_tokens=16384).longest >= 13528


def test_a_log_of_two_h20_is_explained() -> None:
    """vllm-project/vllm#51041: 150K tokens in 7.7 GiB for requests of 121,344 tokens."""
    found = served(FLASH, "0.26", 7.7 * GIB, max_model_len=121344)
    assert round(found.tokens.best, -3) == 151000
    assert any("the cache holds" in note for note in found.notes)


def test_the_cache_requires_fp8() -> None:
    assert "only in fp8" in served(FLASH, "0.26", GIB, cache=None, max_model_len=8192).reason
    assert served(FLASH, "0.33", 100 * GIB, cache=None, max_model_len=8192).starts
    assert "only in fp8" in served(FLASH, "0.33", 100 * GIB, cache="bf16", max_model_len=8192).reason


def test_kernels_need_their_blocks() -> None:
    assert (
        "multiple of 256 tokens, not 64" in served(FLASH, "0.33", 100 * GIB, max_model_len=8192, block_size=64).reason
    )
    assert served(FLASH, "0.33", 100 * GIB, max_model_len=8192, block_size=512).starts


def test_a_command_with_a_key_of_the_attention_config() -> None:
    line = "vllm serve deepseek-ai/DeepSeek-V4-Flash --kv-cache-dtype fp8_ds_mla --max-model-len 8192 -tp 8"
    plain = llmcalc.serve(command=line, gpu="h200:8")
    fp4 = llmcalc.serve(command=f"{line} --attention_config.use_fp4_indexer_cache=True", gpu="h200:8")
    assert plain.groups.block_bytes - fp4.groups.block_bytes == 21 * 7 * 576
    assert (plain.settings["block_size"], plain.settings["cache"]) == (256, "fp8")


def test_windows_without_groups_are_cached_like_all_tokens() -> None:
    found = served(FLASH, "0.33", 100 * GIB, max_model_len=65536, disable_cache_groups=True)
    assert found.groups.n_groups == 1
    assert found.request_blocks == 256


def test_stages_have_the_layers_of_their_blocks() -> None:
    found = served(FLASH, "0.33", 100 * GIB, max_model_len=65536, expert_parallel=None, tp=4, pp=2)
    assert found.groups.n_groups == 5
    assert found.groups.block_bytes < 1002240 * 0.6


def test_steps_in_flight_keep_blocks_of_windows() -> None:
    """Two steps since vLLM 0.26 (VllmConfig.max_in_flight_tokens): gpt-oss with 128 tokens in a window."""

    def blocks(version: str, **settings: Any) -> int:
        own = {"max_model_len": 131072, "max_num_batched_tokens": 4096, **settings}
        return llmcalc.serve("gpt-oss-20b", "h100", engine_version=version, **own).request_blocks

    full = 131072 // 16
    window = {steps: -(-(127 + 4096 * steps) // 16) + 1 for steps in (1, 2)}
    assert blocks("0.25") == full + window[1]
    assert blocks("0.26") == full + window[2]
    assert blocks("0.26", async_scheduling=False) == full + window[1]
    assert blocks("0.26", draft_method="suffix", draft_tokens=2) == full + window[1]
