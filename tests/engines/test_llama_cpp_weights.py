"""Devices of weights and caches in llama.cpp, for a model whose sizes are distinct primes."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.core.architecture import Architecture
from llmcalc.core.errors import InputError
from llmcalc.engines.llama_cpp_weights import (
    DeviceWeights,
    Placement,
    device_weights,
    placed_tensors,
    read_placement,
)
from llmcalc.fitting.memory import serving_weights
from llmcalc.serving.start.llama_cpp_models import llama_cpp_model

N_DENSE, N_LAYERS, D_MODEL, N_EXPERTS, D_EXPERT, VOCAB = 2, 7, 13, 11, 5, 101
BYTES, NEW, OLD = 2, 8000, 5000  # of an element, and builds that place the output layer first or last
EXPERT_MATRIX = N_EXPERTS * D_EXPERT * D_MODEL * BYTES
TABLE = VOCAB * D_MODEL * BYTES
OUTPUT = (VOCAB * D_MODEL + D_MODEL) * BYTES  # head and norm
SETTINGS = {"max_model_len": 256, "max_num_seqs": 1, "max_num_batched_tokens": 512, "unified": False}


@pytest.fixture(scope="module")
def model() -> Architecture:
    sizes = {
        "n_layers": N_LAYERS, "n_dense_layers": N_DENSE, "d_model": D_MODEL, "n_experts": N_EXPERTS, "n_groups": 1,
        "top_groups": 1, "top_k": 3, "d_ff_expert": D_EXPERT, "vocab": VOCAB, "n_heads": 3, "d_ff": 17,
        "q_lora_rank": 19, "kv_lora_rank": 23,
    }  # fmt: skip
    return llmcalc.load("deepseek-v3", overrides=[f"{name}={size}" for name, size in sizes.items()])


def weights(model: Architecture, build: int = NEW, devices: int = 1, **settings: Any) -> DeviceWeights:
    formats = serving_weights(model, "bf16", "bf16", (), ())
    return device_weights(model, formats, read_placement(settings, build, devices))


def test_the_input_table_stays_in_host_memory(model: Architecture) -> None:
    found = weights(model)
    assert found.by_device == {None: TABLE, 0: llmcalc.memory(model, weights="bf16").weights - TABLE}
    assert found.largest_on_host == 0


def test_the_output_layer_counts_as_a_layer(model: Architecture) -> None:
    """New builds store it on the GPU first, old builds after all others."""
    assert weights(model, gpu_layers=1).by_device[0] == OUTPUT
    layer = weights(model, OLD, gpu_layers=1).by_device[0]
    assert weights(model, gpu_layers=2).by_device[0] == OUTPUT + layer
    assert weights(model, OLD, gpu_layers=N_LAYERS).by_device[0] == weights(model).by_device[0] - OUTPUT
    assert weights(model, OLD, gpu_layers=N_LAYERS + 1) == weights(model, gpu_layers=99) == weights(model)
    assert 0 not in weights(model, gpu_layers=0).by_device


def test_the_first_layers_include_those_without_experts(model: Architecture) -> None:
    whole = weights(model).by_device[0]
    assert weights(model, cpu_experts=N_DENSE).by_device[0] == whole
    assert weights(model, cpu_experts=N_DENSE + 3).by_device[0] == whole - 3 * 3 * EXPERT_MATRIX
    every = weights(model, cpu_all_experts=True)
    assert every.by_device[0] == whole - 3 * (N_LAYERS - N_DENSE) * EXPERT_MATRIX
    assert every == weights(model, tensor_overrides=r"\.ffn_.*_exps\.=CPU") == weights(model, cpu_experts=99)
    assert every.largest_on_host == EXPERT_MATRIX


def test_dense_feed_forward_layers_can_stay_in_host_memory(model: Architecture) -> None:
    whole, dense = weights(model).by_device[0], 3 * 17 * D_MODEL * BYTES
    assert weights(model, cpu_dense=1).by_device[0] == whole - dense
    assert weights(model, cpu_dense=N_LAYERS).by_device[0] == whole - N_DENSE * dense


def test_the_first_matching_override_counts(model: Architecture) -> None:
    whole = weights(model).by_device[0]
    one = weights(model, tensor_overrides=r"blk\.3\.ffn_(up|down)_exps=CPU,blk\.3.*=CUDA0,exps=CPU")
    assert one.by_device[0] == whole - (2 + 3 * (N_LAYERS - N_DENSE - 1)) * EXPERT_MATRIX
    two = weights(model, gpu_layers=0, tensor_overrides="blk.4.ffn_up_exps=CUDA1")
    assert two.by_device[1] == EXPERT_MATRIX
    assert weights(model, tensor_overrides="exps=CUDA_Host") == weights(model, cpu_all_experts=True)


@pytest.mark.parametrize("override", ["exps", "=CPU", "exps=", "(=CPU"])
def test_an_invalid_override_is_refused(override: str) -> None:
    with pytest.raises(InputError, match="invalid"):
        read_placement({"tensor_overrides": override}, NEW)


def test_layers_are_divided_among_gpus(model: Architecture) -> None:
    placement = Placement(devices=2)
    assert [placement.device(layer, N_LAYERS) for layer in (-1, 0, 3, 4, N_LAYERS)] == [None, 0, 0, 1, 1]
    parts = weights(model, devices=2).by_device
    assert parts[0] + parts[1] == weights(model).by_device[0]


def test_a_tied_table_is_stored_twice() -> None:
    tied = llmcalc.load("qwen3-0.6b", overrides=["n_layers=3", "d_model=17", "d_ff=7", f"vocab={VOCAB}"])
    table = VOCAB * 17 * BYTES
    assert weights(tied).by_device[None] == table
    assert sum(weights(tied).by_device.values()) == llmcalc.memory(tied).weights + table
    assert weights(tied, gpu_layers=0).by_device == {None: llmcalc.memory(tied).weights}


def test_the_cache_is_where_its_layers_are(model: Architecture) -> None:
    whole = llama_cpp_model(model, SETTINGS, NEW).buffers.total
    part = llama_cpp_model(model, {**SETTINGS, "gpu_layers": 4}, NEW)
    assert part.offloaded == (4, N_LAYERS + 1)
    assert (part.largest.cache * N_LAYERS, part.host.cache * N_LAYERS) == (3 * whole, 4 * whole)
    host = llama_cpp_model(model, {**SETTINGS, "host_cache": True}, NEW)
    assert (host.largest.cache, host.host.cache) == (0, whole)


def test_a_step_with_many_tokens_copies_a_matrix_to_the_gpu(model: Architecture) -> None:
    own = {**SETTINGS, "weights": "bf16", "cpu_all_experts": True}
    assert llama_cpp_model(model, own, NEW).staged == EXPERT_MATRIX
    assert llama_cpp_model(model, {**own, "host_compute": True}, NEW).staged == 0
    assert llama_cpp_model(model, {**own, "max_num_batched_tokens": 31}, NEW).staged == 0


@pytest.mark.parametrize("weights", ["q4_k_m", "q3_k_m", "iq2_xxs", "bf16", "fp8", "checkpoint"])
@pytest.mark.parametrize("name", ["llama3-70b", "qwen3-moe-30b-a3b", "gpt-oss-20b", "deepseek-v2-lite", "gemma3-27b"])
def test_the_tensors_are_those_of_the_whole_model(name: str, weights: str) -> None:
    model = llmcalc.load(name)
    tensors = placed_tensors(model, serving_weights(model, weights, "bf16", (), ()))
    rounding = len(tensors)  # each tensor is rounded up to whole bytes
    assert sum(each.bytes for each in tensors) == pytest.approx(
        llmcalc.memory(model, weights=weights).weights, abs=rounding
    )
