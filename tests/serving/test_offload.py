"""What vLLM and SGLang keep in host memory, and the buffers of LoRA adapters, for sizes that are distinct primes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.core.architecture import Architecture
from llmcalc.core.errors import InputError
from llmcalc.core.interval import Interval
from llmcalc.engines.profile import GIB
from llmcalc.fitting.memory import serving_stages
from llmcalc.serving.start.adapters import adapter_bytes
from llmcalc.serving.start.offload import HostCache, host_cache, offloaded_weights

LAYERS, N_LAYERS, LARGEST = 7 * 11 * GIB, 11, 3 * GIB
D_HEAD, D_MODEL, D_FF, N_LAYERS_SMALL, VOCAB = 7, 28, 22, 3, 101
BYTES, RANK, SLOTS = 2, 5, 7


def test_matrices_move_until_they_reach_the_size() -> None:
    found, buffers = offloaded_weights({"cpu_offload_gb": 10}, LAYERS, N_LAYERS, LARGEST)
    assert (found, buffers) == (Interval(10 * GIB, 11.5 * GIB, 13 * GIB), 0)
    assert offloaded_weights({"cpu_offload_gb": 1000}, LAYERS, N_LAYERS, LARGEST)[0] == Interval.exact(LAYERS)
    assert offloaded_weights({}, LAYERS, N_LAYERS, LARGEST) == (Interval.exact(0), 0)


def test_the_last_layers_of_each_group_move() -> None:
    settings = {"offload_group_size": 5, "offload_num_in_group": 2, "offload_prefetch_step": 3}
    found, buffers = offloaded_weights(settings, LAYERS, N_LAYERS, LARGEST)
    assert found == Interval.exact(4 * 7 * GIB)  # layers 3, 4, 8 and 9
    assert buffers == 3 * 7 * GIB
    assert offloaded_weights({"offload_group_size": 5}, LAYERS, N_LAYERS, LARGEST)[0] == Interval.exact(2 * 7 * GIB)


def test_a_cache_in_host_memory_has_whole_blocks() -> None:
    """The size is that of a replica in vLLM, and that of a rank in SGLang."""
    on_gpu, block = Interval(70, 80, 90), Fraction(1000)
    assert HostCache(23_999).tokens(block, 16, 1, 2, on_gpu) == Interval.exact(11 * 16)
    assert HostCache(23_999).tokens(block, 16, 3, 2, on_gpu) == Interval.exact(3 * 16)
    assert HostCache(23_999, "gpu").tokens(block, 16, 1, 2, on_gpu) == Interval.exact(23 * 16)
    assert HostCache(23_999, "gpu").total(block / 16, 2, 3, on_gpu) == Interval.exact(23_999 * 6)
    assert HostCache(23_999).total(block / 16, 2, 3, on_gpu) == Interval.exact(23_999 * 3)
    assert HostCache(ratio=2.5).tokens(block, 16, 1, 2, on_gpu) == Interval(160, 192, 224)
    assert HostCache(ratio=2.0).total(Fraction(3), 2, 3, on_gpu) == Interval(2520, 2880, 3240)


def test_flags_of_caches_are_read() -> None:
    connector = '{"kv_connector": "OffloadingConnector", "kv_connector_extra_config": {"cpu_bytes_to_use": 1234}}'
    assert host_cache({"kv_offloading_size": 1.5}) == HostCache(3 * GIB // 2)
    assert host_cache({"kv_transfer_config": connector}) == HostCache(1234)
    assert host_cache({"kv_transfer_config": '{"kv_connector": "LMCacheConnectorV1"}'}) == HostCache(5 * GIB, "gpu")
    assert host_cache({"kv_transfer_config": "LMCacheConnectorV1"}) == HostCache(5 * GIB, "gpu")
    assert host_cache({"kv_transfer_config": '{"kv_connector": "NixlConnector", "kv_role": "kv_both"}'}) is None
    assert host_cache({"hierarchical_cache": True}) == HostCache(ratio=2.0)
    assert host_cache({"hierarchical_cache": True, "hicache_ratio": 3.0}) == HostCache(ratio=3.0)
    assert host_cache({"hierarchical_cache": True, "hicache_ratio": 3.0, "hicache_size": 7}) == HostCache(
        7_000_000_000, "gpu"
    )
    assert host_cache({"hicache_size": 7}) is None
    with pytest.raises(InputError, match="invalid JSON"):
        host_cache({"kv_transfer_config": "{kv_connector"})


@pytest.fixture(scope="module")
def model() -> Architecture:
    sizes = {
        "n_layers": N_LAYERS_SMALL,
        "d_model": D_MODEL,
        "d_ff": D_FF,
        "vocab": VOCAB,
        "n_heads": 4,
        "n_kv_heads": 2,
    }
    return llmcalc.load("llama3.1-8b", overrides=[f"{name}={size}" for name, size in sizes.items()])


def adapters(model: Architecture, tp: int = 1, **more: Any) -> Interval:
    (stage,) = serving_stages(model, seq=2, mesh=Mesh(tp=tp))
    settings = {"max_loras": SLOTS, "max_lora_rank": RANK, "lora_experts": True, **more}
    return adapter_bytes(stage, settings, BYTES)


def test_each_slot_has_two_matrices_for_each_matrix(model: Architecture) -> None:
    query, kv = 4 * D_HEAD, 2 * D_HEAD
    column = [(D_MODEL, query), (D_MODEL, kv), (D_MODEL, kv), (D_MODEL, D_FF), (D_MODEL, D_FF)]
    row = [(query, D_MODEL), (D_FF, D_MODEL)]
    unit = SLOTS * RANK * BYTES
    found = adapters(model)
    assert found.low == found.best == unit * N_LAYERS_SMALL * sum(map(sum, (*column, *row)))
    assert found.high - found.best == unit * 2 * (VOCAB + D_MODEL)
    two = sum(inputs + outputs // 2 for inputs, outputs in column) + sum(
        inputs // 2 + outputs for inputs, outputs in row
    )
    assert adapters(model, 2).best == unit * N_LAYERS_SMALL * two


def test_targets_and_experts_are_chosen(model: Architecture) -> None:
    unit = SLOTS * RANK * BYTES * N_LAYERS_SMALL
    assert adapters(model, lora_targets="q_proj v_proj") == Interval.exact(unit * (2 * D_MODEL + 6 * D_HEAD))
    assert adapters(model, lora_targets="all") == adapters(model)
    experts = llmcalc.load("qwen3-moe-30b-a3b", overrides=["n_layers=2", "d_model=17", "n_experts=11", "d_ff=5"])
    more = {name: size - other for name, size, other in zip(
        ("low", "best", "high"), adapters(experts), adapters(experts, lora_experts=False), strict=True
    )}  # fmt: skip
    each = SLOTS * RANK * BYTES * 2 * 11
    assert more["best"] == each * ((17 + 5) * 2 + 5 + 17)
    assert more["low"] == each * (17 + 2 * 5 + 5 + 17)


def test_fully_sharded_adapters_divide_the_other_matrices(model: Architecture) -> None:
    found = adapters(model, 2, lora_targets="q_proj o_proj", fully_sharded_loras=True)
    column = 3 * D_MODEL + RANK * 2 * D_HEAD  # rank 5 on two ranks
    row = RANK * (2 * D_HEAD + D_MODEL // 2)
    assert found.best == SLOTS * BYTES * N_LAYERS_SMALL * (column + row)


def test_adapters_and_offloading_change_the_cache() -> None:
    plain = llmcalc.serve("qwen3-8b", "h100", max_model_len=8192)
    lora = llmcalc.serve("qwen3-8b", "h100", max_model_len=8192, enable_lora=True, max_loras=3, max_cpu_loras=6)
    ((name, size),) = lora.memory.extras
    assert name == "LoRA, 3 × rank 16"
    assert plain.memory.available.best - lora.memory.available.best == size.best
    assert lora.memory.loaded.best == plain.memory.weights.best + size.best
    assert lora.host.total.best == 2 * size.best
    less = llmcalc.serve("qwen3-8b", "h100", max_model_len=8192, cpu_offload_gb=4)
    assert less.memory.available.best - plain.memory.available.best == less.host.total.best
    more = llmcalc.serve("qwen3-8b", "h100:2", max_model_len=8192, kv_offloading_size=8)
    assert more.host_tokens is not None
    assert more.host_tokens.best == 8 * GIB // (36 * 2 * 8 * 128 * 2 * 16) * 16
    assert "in host memory" in more.summary


def test_the_ranks_of_a_replica_share_its_cache_in_host_memory() -> None:
    run: dict[str, Any] = {"tp": 2, "max_model_len": 8192, "kv_offloading_size": 7}
    one, two = llmcalc.serve("qwen3-8b", "h100:2", **run), llmcalc.serve("qwen3-8b", "h100:4", dp=2, **run)
    assert one.host_tokens is not None
    assert one.host_tokens == two.host_tokens
    assert [size.best for _, size in two.host.parts] == [2 * 7 * GIB]
