"""The figures of engines' logs agree with each other and with the state of the models."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

import llmcalc

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "engine_logs.py"
if not SCRIPT.is_file():
    pytest.skip("the documentation is not here", allow_module_level=True)
spec = importlib.util.spec_from_file_location("engine_logs", SCRIPT)
module = importlib.util.module_from_spec(spec)
sys.modules["engine_logs"] = module
spec.loader.exec_module(module)
logs, cached = module.logs, module.llama_cpp_buffers

GIB, MIB = 2**30, 2**20
DIGIT, LAST = 0.005, 0.0051  # GiB and MiB, half of the last digit that is printed
BLOCK = 16  # tokens
LONG = 2**20  # tokens


def known(log) -> bool:
    """Whether llmcalc has a preset of the model."""
    try:
        llmcalc.load(log.preset)
    except llmcalc.LlmcalcError:
        return False
    return True


def text(log) -> str:
    return f"{log.model} {log.version} {log.flags}"


@pytest.mark.parametrize(("engine", "number"), [("vllm", 80), ("sglang", 50), ("llama.cpp", 80)])
def test_each_log_says_where_it_is_published(engine, number):
    found = list(logs(engine))
    assert len(found) >= number
    assert all(log.source.startswith("https://") and log.model and log.figures for log in found)


USED = {"gpu_memory_gib", "weights_gib", "activation_gib", "non_torch_gib"}
VLLM = [log for log in logs("vllm") if log.figures.keys() >= USED]


@pytest.mark.parametrize("log", VLLM, ids=text)
def test_vllm_leaves_the_rest_of_its_share_to_the_cache(log):
    figures = log.figures
    share = float(log.flag("--gpu-memory-utilization", default="0.9"))
    used = figures["weights_gib"] + figures["activation_gib"] + figures["non_torch_gib"]
    if "--pipeline-parallel-size" in log.flags:  # the last stage has the largest activations, the first one prints
        used -= figures["activation_gib"] - 1.1
    assert figures["kv_cache_gib"] == pytest.approx(figures["gpu_memory_gib"] * share - used, abs=7 * DIGIT)


SAME = [
    log
    for log in logs("vllm")
    if {"kv_cache_gib", "kv_cache_tokens"} <= log.figures.keys()
    and known(log)
    # several groups
    and not any(
        name in log.model.lower() for name in ("gemma", "gpt-oss", "llama-4", "kimi-linear", "qwen3.6", "qwen3.8")
    )
    # another rank than the one that prints has the least memory
    and not ("--pipeline-parallel-size" in log.flags or "235B" in log.model or "MiniMax" in log.model)
]


@pytest.mark.parametrize("log", SAME, ids=text)
def test_vllm_counts_whole_blocks_of_tokens(log):
    tensor = int(log.flag("--tensor-parallel-size", default="1"))
    cache = {"fp8": "fp8"}.get(log.flag("--kv-cache-dtype"), "fp32" if "float32" in log.flags else "bf16")
    model = llmcalc.load(log.preset)
    short, long = (llmcalc.state(model, seq=tokens, cache=cache, extend=True).bytes for tokens in (LONG, 2 * LONG))
    bytes_per_token = (long - short) / LONG
    # every rank keeps the latents of all heads, unless the ranks share the tokens
    if not any(name in log.preset for name in ("deepseek", "Kimi-K2")) or "--decode-context-parallel-size" in log.flags:
        bytes_per_token /= tensor
    block = int(log.flag("--block-size", default=str(BLOCK)))
    least, most = ((log.figures["kv_cache_gib"] + sign * DIGIT) * GIB / bytes_per_token for sign in (-1, 1))
    assert least - block - 1 <= log.figures["kv_cache_tokens"] <= most + block  # a log rounds tokens of requests


HYBRID = [
    log for log in logs("vllm") if "qwen3.6" in log.model and {"kv_cache_gib", "kv_cache_tokens"} <= log.figures.keys()
]


@pytest.mark.parametrize("log", HYBRID, ids=text)
def test_vllm_keeps_recurrent_states_of_drafted_tokens(log):
    """Pages are 17 layers of 1600 tokens with 3 drafted tokens, and a request has 5 blocks of states per group."""
    flags = log.flags.replace("auto_round", "fp8").replace("modelopt", "fp8")
    least, most = (
        llmcalc.serve(
            command=f"vllm serve {log.preset} {flags} --kv-cache-memory-bytes {int(size * GIB)}", gpu="h200:8",
            engine_version=log.version,
        ).tokens.best
        for size in (log.figures["kv_cache_gib"] - DIGIT, log.figures["kv_cache_gib"] + DIGIT)
    )  # fmt: skip
    assert least <= log.figures["kv_cache_tokens"] <= most


GIVEN = [log for log in logs("vllm") if "--kv-cache-memory-bytes" in log.flags]


@pytest.mark.parametrize("log", GIVEN, ids=text)
def test_a_cache_of_a_given_size_has_the_logged_tokens(log):
    flags = log.flags.replace("modelopt", "fp8")
    result = llmcalc.serve(command=f"vllm serve {log.preset} {flags}", gpu="h200", engine_version=log.version)
    assert result.tokens.best == log.figures["kv_cache_tokens"]


SGLANG = [log for log in logs("sglang") if {"k_gib", "kv_cache_tokens"} <= log.figures.keys() and known(log)]


@pytest.mark.parametrize("log", SGLANG, ids=text)
def test_sglang_allocates_the_state_of_its_tokens(log):
    if "gemma" in log.model or "MiMo-V2" in log.model:
        pytest.skip("the logs of models with sliding windows don't say which layers are counted")
    model, tensor = llmcalc.load(log.preset), int(log.flag("--tp-size", default="1"))
    if "--enable-dp-attention" in log.flags:
        tensor //= int(log.flag("--dp-size"))
    tokens, page = int(log.figures["kv_cache_tokens"]), 128 if "Ascend" in log.card else 1
    short, long = (llmcalc.state(model, seq=length, extend=True).bytes for length in (LONG, 2 * LONG))
    expected = (tokens + page) * (long - short) / LONG / tensor / GIB  # without states of a fixed size
    assert log.figures["k_gib"] + log.figures["v_gib"] == pytest.approx(expected, abs=2 * DIGIT + 0.001)


STATES = [log for log in SGLANG if "mamba_cache_size" in log.figures]


@pytest.mark.parametrize("log", STATES, ids=text)
def test_sglang_allocates_a_state_for_each_request_and_one_more(log):
    model, tensor = llmcalc.load(log.preset), int(log.flag("--tp-size", default="1"))
    short, long = (llmcalc.state(model, seq=length, extend=True).bytes for length in (LONG, 2 * LONG))
    expected = (log.figures["mamba_cache_size"] + 1) * (2 * short - long) / tensor / GIB
    assert log.figures["conv_state_gib"] + log.figures["ssm_state_gib"] == pytest.approx(expected, abs=2 * DIGIT)


LLAMA_CPP = [log for log in logs("llama.cpp") if known(log)]


@pytest.mark.parametrize("log", LLAMA_CPP, ids=text)
def test_llama_cpp_prints_the_predicted_buffers(log):
    buffers = cached(log)
    printed = [log.figures.get(name) for name in ("kv_mib", "swa_mib", "recurrent_mib")]
    exact = all(size is None or abs(own / MIB - size) < LAST for own, size in zip(buffers, printed, strict=True))
    has_latents = log.model.endswith("V3-0324") and log.flags == "-c 16384 -fa"  # although -mla is not given
    assert exact != (has_latents and log.engine == "ik_llama.cpp")


def test_layers_that_predict_further_tokens_are_cached_by_builds_that_do_not_skip_them():
    (log,) = (log for log in LLAMA_CPP if "prediction_layers" in log.figures and log.figures["kv_mib"] == 3008)
    sizes = [
        cached(log._replace(engine=engine, version=version)).total / MIB
        for engine, version in (("ik_llama.cpp", "3917"), ("ik_llama.cpp", "3918"), ("llama.cpp", "3917"))
    ]
    assert sizes == [3008, 2944, 2944]


def test_most_logs_of_llama_cpp_can_be_predicted():
    assert len(LLAMA_CPP) >= 70
