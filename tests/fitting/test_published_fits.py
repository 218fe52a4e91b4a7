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
        "weights", 19_762_149_024, "huggingface.co/Qwen/Qwen3-32B-GGUF, Qwen3-32B-Q4_K_M.gguf",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FITS, ids=lambda case: f"{case[0]} {case[1]} {dict(case[2])}")
def test_published_models_fit(case: tuple[str, str, tuple[tuple[str, Any], ...]]) -> None:
    model, gpus, settings = case
    quantity, published, _ = FITS[case]
    found = llmcalc.fit(model, gpus, **dict(settings), engine="none")
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
    assert llmcalc.fit(name, "h200", count=tp, seq=8192, engine="none").fits


def test_llama_cpp_keeps_the_input_table_in_host_memory() -> None:
    """Qwen3-32B in q5_k_m runs on a card of 24 GB because its table of 151,936 x 5120 does not.

    The size is that of huggingface.co/Qwen/Qwen3-32B-GGUF, Qwen3-32B-Q5_K_M.gguf.
    """
    found = llmcalc.fit("qwen3-32b", "rtx-4090", weights="q5_k_m", seq=4096, engine="none")
    assert found.fits
    assert found.result.weights == pytest.approx(23_214_831_232, rel=0.001)
    assert found.result.host == 151_936 * 5120 * 5.5 / 8
    assert found.needed == found.result.peak - found.result.host
    assert (
        llmcalc.fit("qwen3-0.6b", "rtx-4090", weights="q5_k_m", engine="none").result.host == 0
    )  # the output needs the tied table
    assert llmcalc.fit("qwen3-32b", "h100", weights="fp8", engine="none").result.host == 0


def test_the_context_of_a_published_pool_of_keys_and_values() -> None:
    """The log of vLLM has 32.0 GiB for keys and values on each GPU, 160 KiB per token."""
    found = llmcalc.fit("llama3.3-70b", "h100:2", weights="fp8", seq=209_715, engine="none")
    assert found.fits
    assert found.result.state == pytest.approx(32.0 * GIB, rel=0.03)


def test_long_contexts_have_no_activations_of_the_whole_prompt() -> None:
    found = llmcalc.memory("deepseek-v4-flash", seq=1_048_576)
    assert found.activations < 8 * GB
    assert found.peak < 180 * GB


# random.Random(20261127).sample(presets of 2024 to 2026, 10): settings, published bytes, GPUs on which the weights fit
# and do not fit, and the file on huggingface.co, whose size was read in public repositories that quote it. No size was
# found for DeepSeek-Coder 6.7B and RecurrentGemma 2B.
DRAWN: dict[str, tuple[dict[str, str], int, str, str, str]] = {
    "jamba-v0.1": (
        {}, 103_140_646_656, "a100-80gb:2", "a100-80gb", "ai21labs/Jamba-v0.1, model.safetensors.index.json"
    ),
    "lfm2-1.2b": ({}, 2_340_697_936, "4GB", "2GB", "LiquidAI/LFM2-1.2B, model.safetensors"),
    "qwen3-8b": ({}, 16_381_470_720, "l4", "v100-pcie-16gb", "Qwen/Qwen3-8B, model.safetensors.index.json"),
    "gemma2-9b": ({}, 18_483_411_968, "l4", "v100-pcie-16gb", "google/gemma-2-9b, model.safetensors.index.json"),
    "gemma4-31b": (
        {"weights": "q4_k_m"}, 18_323_733_440, "rtx-4090", "16GB",
        "unsloth/gemma-4-31B-it-GGUF, gemma-4-31B-it-Q4_K_M.gguf",
    ),
    "kimi-k3-2.8t": ({}, 1_560_998_987_867, "b200-180gb:16", "b200-180gb:8", "moonshotai/Kimi-K3, the weight files"),
    "ministral3-8b": (
        {"weights": "q5_k_m"}, 6_059_268_512, "8GB", "6GB",
        "unsloth/Ministral-3-8B-Instruct-2512-GGUF, Ministral-3-8B-Instruct-2512-Q5_K_M.gguf",
    ),
    "granite4-h-small": (
        {}, round(59.99 * GIB), "h100", "l40s", "ibm-granite/granite-4.0-h-small, the safetensors files"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_models_have_their_published_size(name: str) -> None:
    settings, published, enough, too_small, _ = DRAWN[name]
    found = llmcalc.fit(name, enough, seq=1024, **settings, engine="none")
    assert found.fits
    assert llmcalc.memory(name, seq=1024, **settings).weights == pytest.approx(published, rel=0.03)
    assert not llmcalc.fit(name, too_small, seq=1024, **settings, engine="none").fits
