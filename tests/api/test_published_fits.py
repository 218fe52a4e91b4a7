"""With the model and the GPUs alone, a fit check gives the answer that engines give."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc

GIB, GB = 2**30, 10**9
AICONFIGURATOR = "NVIDIA aiconfigurator"
# (model, GPUs, settings): (quantity, its published size in bytes, who published it)
FITS: dict[tuple[str, str, tuple[tuple[str, Any], ...]], tuple[str, float, str]] = {
    ("gpt-oss-120b", "h100", ()): ("weights", 60.8 * GIB, "openai2025 Table 1"),
    ("deepseek-v3", "h200:8", (("seq", 32500), ("batch", 16))): ("peak", 107.04 * GB, AICONFIGURATOR),
    ("qwen3-235b-a22b", "h100:8", (("weights", "fp8-block"), ("seq", 32500), ("batch", 16))): (
        "weights", 58.859 * GB, f"{AICONFIGURATOR} 0.12, Qwen/Qwen3-235B-A22B-FP8 with tp 4",
    ),
    ("qwen3-235b-a22b", "h100:8", (("weights", "fp8"), ("seq", 32500), ("batch", 16))): (
        "weights", 58.859 * GB, f"{AICONFIGURATOR} 0.12, Qwen/Qwen3-235B-A22B-FP8 with tp 4",
    ),
    ("llama3.3-70b", "h100:2", (("weights", "fp8"), ("seq", 80_000))): (
        "weights", 33.88 * GIB, "the log of vLLM in llm-d-benchmark, RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic",
    ),
    ("qwen3-32b", "rtx-4090", (("weights", "q4_k_m"), ("seq", 4096))): (
        "weights", 19.76 * GB, "the file Qwen3-32B-Q4_K_M.gguf of Qwen/Qwen3-32B-GGUF",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FITS, ids=lambda case: f"{case[0]} {case[1]} {dict(case[2])}")
def test_published_models_fit(case: tuple[str, str, tuple[tuple[str, Any], ...]]) -> None:
    model, gpus, settings = case
    quantity, published, _ = FITS[case]
    found = llmcalc.fit(model, gpus, **dict(settings))
    assert found.fits
    assert not found.result.refusals
    assert getattr(found.result, quantity) == pytest.approx(published, rel=0.03)


ON_EACH = {  # weights per GPU as published or as logged by an engine
    ("llama3.1-8b", 1, 1): 14.99 * GIB,  # the log of vLLM in llm-d-benchmark
    ("qwen3-0.6b", 1, 1): 1.12 * GIB,  # the log of vLLM in llm-d-benchmark
    ("llama3.1-405b", 8, 1): 101.46 * GB,  # aiconfigurator 0.12, as all others
    ("qwen3-32b", 2, 1): 32.76 * GB,
    ("qwen3-8b", 1, 1): 16.38 * GB,
    ("qwen3-moe-30b-a3b", 1, 1): 60.44 * GB,
    ("llama4", 8, 8): 27.25 * GB,
    ("minimax-m2", 4, 4): 57.26 * GB,
    ("mimo-v2-flash", 8, 8): 39.95 * GB,
    ("deepseek-v4-flash", 4, 4): 38.67 * GB,
}


@pytest.mark.parametrize("case", ON_EACH, ids=str)
def test_each_gpu_stores_the_published_weights(case: tuple[str, int, int]) -> None:
    name, tp, ep = case
    found = llmcalc.memory(name, seq=8192, mesh=llmcalc.Mesh(tp=tp, ep=ep))
    assert found.weights == pytest.approx(ON_EACH[case], rel=0.03)
    assert llmcalc.fit(name, "h200", count=tp, seq=8192).fits


def test_llama_cpp_keeps_the_input_table_in_host_memory() -> None:
    """Qwen3-32B in q5_k_m, a file of 23.2 GB, runs on a card of 24 GB because its table of 151,936 x 5120 does not."""
    found = llmcalc.fit("qwen3-32b", "rtx-4090", weights="q5_k_m", seq=4096)
    assert found.fits
    assert found.result.weights == pytest.approx(23.21 * GB, rel=0.03)
    assert found.result.host == 151_936 * 5120 * 5.5 / 8
    assert found.needed == found.result.peak - found.result.host
    assert llmcalc.fit("qwen3-0.6b", "rtx-4090", weights="q5_k_m").result.host == 0  # the output needs the tied table
    assert llmcalc.fit("qwen3-32b", "h100", weights="fp8").result.host == 0


def test_the_context_of_a_published_pool_of_keys_and_values() -> None:
    """The log of vLLM has 32.0 GiB for keys and values on each GPU, 160 KiB per token."""
    found = llmcalc.fit("llama3.3-70b", "h100:2", weights="fp8", seq=209_715)
    assert found.fits
    assert found.result.state == pytest.approx(32.0 * GIB, rel=0.03)


def test_long_contexts_have_no_activations_of_the_whole_prompt() -> None:
    found = llmcalc.memory("deepseek-v4-flash", seq=1_048_576)
    assert found.activations < 8 * GB
    assert found.peak < 180 * GB
