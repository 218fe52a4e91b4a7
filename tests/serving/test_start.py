"""Predictions of serving engines against the figures that public runs log."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.cli.commands import load
from llmcalc.cli.main import main
from llmcalc.data import tables
from llmcalc.inputs.serving_settings import ENGINES
from llmcalc.schema.export import preset_text
from llmcalc.serving.start import predict as engine_start
from llmcalc.serving.start.models import load_served
from llmcalc.serving.start.weights import expert_buffers

GIB = 2**30
RUN = {"engine_version": "0.11", "gpu_memory": "79.18GiB", "max_model_len": 16000, "gpu_memory_utilization": 0.9}
# model, GPUs, other settings, weights, activation and available KV cache in GiB
# (llm-d/llm-d-benchmark, config_explorer/empirical-vllm-memory-results.md)
LOGGED: list[tuple[str, str, dict[str, Any], float, float, float]] = [
    ("gpt-oss-20b", "h100", {}, 13.47, 7.38, 50.28),
    ("gpt-oss-120b", "h100", {"gpu_memory_utilization": 0.95}, 64.38, 7.38, 3.33),
    ("llama3.3-70b", "h100:2", {"weights": "fp8"}, 33.88, 4.84, 32.0),
    ("llama3.1-8b", "h100", {}, 14.99, 4.76, 51.38),
    ("qwen3-0.6b", "h100", {}, 1.12, 5.56, 64.45),
    ("qwen3-32b", "h100", {}, 61.03, 5.64, 4.45),
]


@pytest.mark.parametrize(("model", "gpu", "more", "weights", "activation", "available"), LOGGED)
def test_vllm_logs_what_is_predicted(
    model: str, gpu: str, more: dict[str, Any], weights: float, activation: float, available: float
) -> None:
    memory = llmcalc.serve(model, gpu, **{**RUN, **more}).memory
    assert memory.weights.best / GIB == pytest.approx(weights, abs=0.05)
    assert memory.activation.best / GIB == pytest.approx(activation, abs=0.01)
    assert memory.available.best / GIB == pytest.approx(available, abs=0.06)
    assert memory.available.low <= memory.available.best <= memory.available.high


@pytest.mark.parametrize(
    ("model", "tp", "weights"), [("qwen2.5-7b", 1, 14.25), ("qwen2.5-72b", 2, 67.8), ("phi4", 1, 27.39)]
)
def test_the_allocator_rounds_large_matrices(model: str, tp: int, weights: float) -> None:
    """Runs of vLLM 0.19 (docs/data/engine_vllm.csv), whose matrices take 14.19, 67.72 and 27.31 GiB."""
    result = llmcalc.serve(model, "h100", tp=tp, engine_version="0.19", max_model_len=8192)
    assert result.memory.weights.best / GIB == pytest.approx(weights, abs=0.006)


def test_a_later_version_samples_with_fewer_copies_of_the_logits() -> None:
    run: dict[str, Any] = {**RUN, "gpu_memory": "79.19GiB", "gpu_memory_utilization": 0.95, "max_model_len": 8192}
    result = llmcalc.serve("llama3.1-8b", "h100", **{**run, "engine_version": "0.19.0"})
    assert result.memory.available.best / GIB == pytest.approx(58.11, abs=0.01)  # jgchn/llm-d-planner
    assert result.tokens.best == pytest.approx(476016, rel=1e-4)
    assert result.concurrency.best == pytest.approx(58.11, abs=0.01)


# model, other settings, logged K and V in GiB and tokens (docs/data/engine_sglang.csv)
SGLANG: list[tuple[str, dict[str, Any], float, int]] = [
    ("llama3.1-8b", {"mem_fraction_static": 0.88}, 54.24, 444372),
    ("llama3.2-1b", {"mem_fraction_static": 0.88}, 66.92, 2192531),
    ("llama2-7b", {"mem_fraction_static": 0.7}, 42.5, 87056),
    ("llama3.1-8b", {}, 54.04, 442750),
]


@pytest.mark.parametrize(("model", "more", "pool", "tokens"), SGLANG)
def test_sglang_logs_what_is_predicted(model: str, more: dict[str, Any], pool: float, tokens: int) -> None:
    own = {"gpu_memory": "79.19GiB", "engine": "sglang", "engine_version": "0.4.3", **more}
    result = llmcalc.serve(model, "h100", **own)
    assert result.memory.available.best / GIB == pytest.approx(pool, abs=0.2)
    assert result.tokens.best == pytest.approx(tokens, rel=0.005)
    assert result.tokens.low <= tokens <= result.tokens.high


def test_sglang_reserves_memory_for_activations_and_graphs() -> None:
    """The default share of a GPU with 80 GB was 0.88, then 0.874, and is now 0.836 (docs/data/engine_sglang.csv)."""
    shares = {
        version: llmcalc.serve("llama3.1-8b", "h100", engine="sglang", engine_version=version).settings["share"]
        for version in ("0.4.6", "0.4.9", "0.5.10")
    }
    assert shares == pytest.approx({"0.4.6": 0.88, "0.4.9": 0.874, "0.5.10": 0.836}, abs=0.003)
    assert llmcalc.serve("llama3.1-8b", "h100:8", engine="sglang", engine_version="0.4.6").settings["share"] == 0.81


def test_sglang_starts_with_less_than_one_request() -> None:
    result = llmcalc.serve("llama3.1-8b", "24GB", engine="sglang", max_model_len=131072)
    assert result.starts
    assert result.concurrency.best < 1


def test_attention_ranks_of_sglang_are_tensor_parallel_ranks() -> None:
    line = "python -m sglang.launch_server --model-path deepseek-ai/DeepSeek-V3 --tp 8 --dp 8 --enable-dp-attention"
    result = llmcalc.serve(command=line, gpu="h200:8")
    assert (result.ranks, result.settings["tp"]) == (8, 1)
    assert result.memory.weights.best < llmcalc.serve("deepseek-v3", "h200", tp=1).memory.weights.best / 4


# model, version, other settings, logged MiB of the buffers (docs/data/engine_llama_cpp.csv)
LLAMA_CPP: list[tuple[str, str, dict[str, Any], list[str]]] = [
    ("llama3.1-8b", "5781", {"max_model_len": 16384}, ["2048.00"]),
    ("glm4-32b", "5192", {"max_model_len": 5120, "cache": "q8_0", "cache_v": "q8_0"}, ["162.03"]),
    ("gpt-oss-20b", "6699", {"max_model_len": 131072}, ["3072.00", "18.00"]),
    ("deepseek-v3", "5331", {"max_model_len": 16384}, ["2074.00"]),
    ("qwen3.5-27b", "8000", {"max_model_len": 4096, "max_num_seqs": 3}, ["288.00", "448.88"]),
]


@pytest.mark.parametrize(("model", "version", "more", "sizes"), LLAMA_CPP)
def test_llama_cpp_prints_these_digits(model: str, version: str, more: dict[str, Any], sizes: list[str]) -> None:
    result = llmcalc.serve(model, "h200:8", engine="llama.cpp", engine_version=version, **more)
    buffers = [line.split(" = ")[1] for line in result.log() if line.startswith(("KV", "RS"))]
    assert buffers == [f"{size} MiB" for size in sizes]


def test_tensorrt_llm_shares_what_is_free_after_loading() -> None:
    small, large = (
        llmcalc.serve("llama3.1-8b", "h100", engine="tensorrt-llm", free_gpu_memory_fraction=share)
        for share in (0.45, 0.9)
    )
    assert large.memory.available.best == pytest.approx(2 * small.memory.available.best, rel=1e-6)
    used = large.memory.weights.best + large.memory.activation.best + large.memory.non_torch.best
    assert large.memory.available.best == pytest.approx(0.9 * (large.memory.total - used), rel=1e-6)
    assert large.tokens.best % 32 == 0


def test_layers_on_the_cpu_need_no_gpu_memory() -> None:
    own: dict[str, Any] = {"engine": "llama.cpp", "weights": "q4_k_m", "max_model_len": 4096}
    whole = llmcalc.serve("qwen3-moe-30b-a3b", "h100", **own)
    half = llmcalc.serve("qwen3-moe-30b-a3b", "h100", **own, gpu_layers=24)
    experts = llmcalc.serve("qwen3-moe-30b-a3b", "h100", **own, cpu_all_experts=True)
    assert half.memory.weights.best == pytest.approx(whole.memory.weights.best * 24 / 49, rel=0.01)
    assert half.groups.block_bytes == whole.groups.block_bytes * 23 / 48  # beside the output layer
    assert experts.memory.weights.best < whole.memory.weights.best / 8
    for part in (half, experts):
        weights = dict(part.host.parts)["weights"].best
        assert weights + part.memory.weights.best == whole.memory.weights.best + whole.host.total.best
    assert "GiB in host memory" in experts.summary


def test_the_log_states_layers_and_buffers_of_devices() -> None:
    """A log of a model in q4_k_m (ggml-org/llama.cpp#13729)."""
    run: dict[str, Any] = {"engine_version": "5466", "weights": "q4_k_m", "max_model_len": 4096, "gpu_layers": 30}
    assert llmcalc.serve("qwen3-moe-30b-a3b", "rtx4090", engine="llama.cpp", **run).log()[:3] == (
        "offloaded 30/49 layers to GPU", "model buffer size = 10750.86 MiB", "CPU model buffer size = 6940.48 MiB",
    )  # fmt: skip


def test_a_refusal_of_llama_cpp_names_the_fewest_experts_and_the_most_layers() -> None:
    run: dict[str, Any] = {"engine": "llama.cpp", "weights": "q8_0", "max_model_len": 32768, "auto_fit": False}
    result = llmcalc.serve("qwen3-moe-30b-a3b", "rtx4090", **run)
    experts, layers = result.changes[0][0]["cpu_experts"], result.changes[1][0]["gpu_layers"]
    for change, less in (("cpu_experts", experts - 1), ("gpu_layers", layers + 1)):
        found = {change: experts if change == "cpu_experts" else layers}
        assert llmcalc.serve("qwen3-moe-30b-a3b", "rtx4090", **run, **found).verdict == "starts"
        assert llmcalc.serve("qwen3-moe-30b-a3b", "rtx4090", **run, **{change: less}).verdict != "starts"
    assert "--n-cpu-moe" in result.line(result.changes[0][0])
    assert result.changes[0][1].host.total.best > result.host.total.best


def test_llama_cpp_places_layers_by_itself() -> None:
    run: dict[str, Any] = {"engine": "llama.cpp", "weights": "q8_0", "max_model_len": 4096}
    found = llmcalc.serve("qwen3-32b", "24GB", **run)
    layers = found.automatic["gpu_layers"]
    assert (found.verdict, found.placed and found.placed.offloaded) == ("starts", (layers, 65))
    assert found.summary.startswith(f"Starts with {layers} of 65 layers on the GPU: KV cache of 4,096 tokens")
    one_more = llmcalc.serve("qwen3-32b", "24GB", **run, gpu_layers=layers + 1)
    free = [each.memory.available.best - float(each.groups.block_bytes) for each in (found, one_more)]
    assert free[0] >= 2**30 > free[1]
    for more in ({"engine_version": "6000"}, {"auto_fit": False}, {"gpu_layers": 64}, {"tensor_overrides": "up=CPU"}):
        assert not llmcalc.serve("qwen3-32b", "24GB", **run, **more).automatic
    assert not llmcalc.serve("qwen3-8b", "24GB", **run).automatic


def test_llama_cpp_moves_experts_before_layers() -> None:
    run: dict[str, Any] = {"engine": "llama.cpp", "weights": "q8_0", "max_model_len": 32768}
    experts = llmcalc.serve("qwen3-moe-30b-a3b", "rtx4090", **run)
    assert list(experts.automatic) == ["cpu_experts"]
    assert f"the experts of {experts.automatic['cpu_experts']} of 48 layers in host memory" in experts.summary
    both = llmcalc.serve("qwen3-moe-30b-a3b", "3GiB", **{**run, "max_model_len": 8192})
    assert both.automatic["cpu_all_experts"]
    assert 0 < both.automatic["gpu_layers"] < 49
    assert "layers on the GPU and all experts in host memory" in both.summary


def test_llama_cpp_shortens_a_context_that_is_not_given() -> None:
    result = llmcalc.serve("qwen3-8b", "8GB", weights="q4_k_m")
    assert result.automatic == {"max_model_len": result.max_model_len}
    assert 4096 < result.max_model_len < 40960
    assert result.max_model_len % 256 == 0
    assert all(one.max_model_len > result.max_model_len for _, one in result.changes)
    least = llmcalc.serve("qwen3-32b", "16GB", weights="q4_k_m")
    assert (least.max_model_len, *least.automatic) == (4096, "max_model_len", "gpu_layers")
    whole = llmcalc.serve(command="llama-server -m Qwen3-8B-Q4_K_M.gguf -c 0", gpu="8GB")
    assert whole.max_model_len == 40960


def test_a_context_that_is_too_long_does_not_start() -> None:
    result = llmcalc.serve("qwen3-8b", "8GB", weights="q4_k_m", auto_fit=False)
    assert not result.starts
    assert result.changes[0][0]["max_model_len"] <= result.longest_in(0) < result.max_model_len


def test_a_user_of_ollama_gets_its_own_settings() -> None:
    line = "OLLAMA_NUM_PARALLEL=2 OLLAMA_CONTEXT_LENGTH=32768 ollama run qwen3:32b"
    result = llmcalc.serve(command=line, gpu="rtx4090")
    assert result.starts
    assert result.engine_title.startswith("Ollama")
    lines = [result.line(change) for change, _ in result.changes]
    for text, (change, _) in zip(lines, result.changes, strict=True):
        length = change["max_model_len"] // 2
        assert f"OLLAMA_NUM_PARALLEL=2 OLLAMA_CONTEXT_LENGTH={length} " in text
        assert text.endswith("ollama serve")
        again = text.removesuffix("ollama serve") + "ollama run qwen3:32b"
        assert not llmcalc.serve(command=again, gpu="rtx4090").automatic
    assert any("OLLAMA_KV_CACHE_TYPE=q8_0" in text for text in lines)


def test_ollama_and_gguf_names_are_presets() -> None:
    line = "OLLAMA_CONTEXT_LENGTH=8192 OLLAMA_KV_CACHE_TYPE=q8_0 ollama run qwen3:8b"
    result = llmcalc.serve(command=line, gpu="rtx4090")
    assert (result.architecture.name, result.max_model_len) == ("qwen3-8b", 8192)
    assert result.settings["cache"] == result.settings["cache_v"] == "q8_0"
    for name in ("-m /models/Qwen3-8B-Q6_K.gguf", "-hf unsloth/Qwen3-8B-GGUF:Q6_K"):
        served = llmcalc.serve(command=f"llama-server {name} -c 4096", gpu="24GB")
        assert (served.architecture.name, served.settings["weights"]) == ("qwen3-8b", "q6_k")


@pytest.mark.parametrize(("gpu", "context"), [("8GB", 4096), ("rtx4090", 32768), ("rtx4090:2", 40960)])
def test_ollama_uses_the_context_that_its_gpus_hold(gpu: str, context: int) -> None:
    result = llmcalc.serve(command="ollama run qwen3:8b --verbose 'Why is the sky blue?'", gpu=gpu)
    assert result.max_model_len == context
    assert f"num_ctx {context}" in " ".join(result.notes)
    assert llmcalc.serve(command="OLLAMA_CONTEXT_LENGTH=0 ollama run qwen3:8b", gpu=gpu).max_model_len == context


def test_each_request_of_ollama_has_the_context() -> None:
    line = "OLLAMA_NUM_PARALLEL=4 OLLAMA_CONTEXT_LENGTH=8192 ollama run qwen3:8b"
    result = llmcalc.serve(command=line, gpu="rtx4090")
    assert (result.settings["max_model_len"], result.settings["max_num_seqs"]) == (4 * 8192, 4)


def test_a_pasted_command_is_the_same_as_settings() -> None:
    line = "vllm serve Qwen/Qwen3-32B --tensor-parallel-size 4 --max-model-len=32K --kv-cache-dtype fp8_e4m3 -q fp8"
    pasted = llmcalc.serve(command=line, gpu="h100:4")
    given = llmcalc.serve("qwen3-32b", "h100", tp=4, max_model_len=32768, cache="fp8", weights="fp8")
    assert pasted.memory == given.memory
    assert pasted.tokens == given.tokens


def test_a_format_that_the_name_does_not_state_is_noted() -> None:
    for name, is_noted in (("unsloth/Qwen3-8B-GGUF", True), ("unsloth/Qwen3-8B-GGUF:Q4_K_M", False)):
        found = llmcalc.serve(command=f"llama-server -hf {name}", gpu="rtx4090")
        assert any("q4_k_m are assumed" in note for note in found.notes) is is_noted


def test_a_pasted_command_takes_the_ranks_that_the_engine_takes() -> None:
    alone = llmcalc.serve(gpu="h100:4", command="vllm serve Qwen/Qwen3-32B")
    assert alone.ranks == 1
    assert "the layout leaves 3 of 4 GPUs unused" in alone.notes
    assert llmcalc.serve("qwen3-32b", "h100:4").ranks == 4
    split = llmcalc.serve(gpu="rtx4090:2", command="llama-server -m Qwen3-32B-Q4_K_M.gguf")
    assert split.ranks == 2
    assert not any("unused" in note for note in split.notes)


def test_a_refusal_names_the_change_that_works() -> None:
    line = "vllm serve Qwen/Qwen3-32B --max_model_len 40960 --port 8000"
    result = llmcalc.serve(command=line, gpu="h100")
    assert not result.starts
    assert "40,960 tokens" in result.reason
    changes = [change for change, _ in result.changes]
    assert result.longest_in(0) - 1024 < changes[0]["max_model_len"] <= result.longest_in(0) < result.longest
    shorter = result.line(changes[0])
    assert "--max_model_len" not in shorter
    assert shorter.endswith(f"--max-model-len {changes[0]['max_model_len']}")
    for change, _ in result.changes:
        assert llmcalc.serve(command=result.line(change), gpu="h100:8").starts


def test_the_longest_request_is_the_longest() -> None:
    result = llmcalc.serve("qwen3-32b", "h100")
    assert llmcalc.serve("qwen3-32b", "h100", max_model_len=result.longest).starts
    assert not llmcalc.serve("qwen3-32b", "h100", max_model_len=result.longest + 16).starts
    assert llmcalc.serve("qwen3-32b", "h100", max_model_len="auto").max_model_len == result.longest


def test_a_model_that_may_not_start_says_so() -> None:
    result = llmcalc.serve("gpt-oss-120b", "h100", max_model_len=110000)
    assert result.concurrency.low < 1 < result.concurrency.best
    assert result.verdict == "probably starts"
    assert result.summary.startswith("Probably starts")
    assert all(one.verdict == "starts" for _, one in result.changes)
    assert result.line().startswith("vllm serve openai/gpt-oss-120b --max-model-len 110000")


def test_a_version_without_runs_has_a_wider_range() -> None:
    old, new = (llmcalc.serve("llama3.1-8b", "h100", engine_version=version).memory for version in ("0.19.1", "0.20"))
    assert old.graphs.high < new.graphs.high
    assert new.graphs.low < old.graphs.low


@pytest.mark.parametrize("version", ["10007", "v10007.3", "999999999"])
def test_a_version_of_more_than_four_digits_is_newer_than_all_others(version: str) -> None:
    newest, later = (llmcalc.serve("llama3.1-8b", "h100", engine_version=each) for each in (None, version))
    assert newest.settings == later.settings


@pytest.mark.parametrize("pattern", [r"(\w+)*!", "x(a|b)+", ".*.*.*.*", "a{9}b*c+d*"])
def test_a_pattern_that_takes_long_to_match_is_refused(pattern: str) -> None:
    with pytest.raises(llmcalc.InputError, match="repeats too much"):
        llmcalc.serve(command=f"llama-server -m llama3.1-8b-q8_0.gguf -ot '{pattern}=CPU'", gpu="rtx4090")


def test_more_experts_than_layers_may_stay_in_host_memory() -> None:
    line = "llama-server -m qwen3-30b-a3b-q4_K_M.gguf -c 4096 --n-cpu-moe "
    many, all_of_them = (llmcalc.serve(command=line + number, gpu="rtx4090") for number in ("9" * 15, "48"))
    assert many.memory == all_of_them.memory


@pytest.mark.parametrize("version", ["9" * 5000, "\u00b2", "x", "."])
def test_an_invalid_version_is_one_error(version: str) -> None:
    with pytest.raises(llmcalc.InputError, match="invalid version"):
        llmcalc.serve("llama3.1-8b", "h100", engine_version=version)


def test_a_share_above_the_free_memory_is_a_refusal() -> None:
    result = llmcalc.serve("llama3.1-8b", "h100", gpu_memory_utilization=0.999)
    assert not result.starts
    assert "are free before it starts" in result.reason
    assert llmcalc.serve("llama3.1-8b", "h100", gpu_memory_utilization=0.99).starts


def test_matrices_that_kernels_refuse_are_a_refusal() -> None:
    """Blocks of 128 do not divide the experts of Qwen3-235B on eight ranks."""
    result = llmcalc.serve("qwen3-moe-235b-a22b", "h100:8", weights="fp8-block", max_model_len=8192, tp=8)
    assert not result.starts
    assert "128" in result.reason
    usual = llmcalc.serve("qwen3-moe-235b-a22b", "h100:8", weights="fp8-block", max_model_len=8192)
    assert (usual.starts, usual.settings["tp"], usual.settings["expert_parallel"]) == (True, 8, True)
    assert any("is assumed" in note and "128" in note for note in usual.notes)
    spread = llmcalc.serve(
        "qwen3-moe-235b-a22b", "h100:8", weights="fp8-block", max_model_len=8192, expert_parallel=True
    )
    assert spread.starts


@pytest.mark.parametrize(
    ("engine", "setting", "value"),
    [("vllm", "gpu_layers", 20), ("llama.cpp", "gpu_memory_utilization", 0.9), ("vllm", "expert_parallel", True)],
)
def test_a_setting_without_effect_is_refused(engine: str, setting: str, value: Any) -> None:
    with pytest.raises(llmcalc.InputError, match="has no effect"):
        llmcalc.serve("llama3.1-8b", "h100", engine=engine, **{setting: value})


def test_a_model_without_a_cache_is_refused() -> None:
    with pytest.raises(llmcalc.InputError, match="has no cache"):
        llmcalc.serve("bert", "h100")


def test_groups_of_compressed_caches_are_not_claimed() -> None:
    (warning,) = llmcalc.serve("deepseek-v4", "h200:8", max_model_len=8192, engine="sglang").warnings
    assert "compress" in warning
    assert llmcalc.serve("qwen3-8b", "h100").warnings == ()


@pytest.mark.parametrize("command", ["", " ", [], ["vllm", 5]])
def test_an_empty_command_is_refused(command: Any) -> None:
    with pytest.raises(llmcalc.InputError, match="command"):
        llmcalc.serve(command=command, gpu="h100")


def test_every_engine_is_offered() -> None:
    assert set(ENGINES) == set(tables("engines"))
    (option,) = (each for each in load("serve").options.values() if each.flag == "--engine")
    assert option.choices == ENGINES


def test_too_few_gpus_are_a_refusal() -> None:
    result = llmcalc.serve("llama3.1-8b", "h100:2", tp=4)
    assert not result.starts
    assert result.reason == "the layout needs 4 GPUs, and there are 2"


def test_hybrid_layers_share_groups_of_blocks() -> None:
    grouped = llmcalc.serve("gpt-oss-20b", "h100")
    assert [(group.kind, group.n_groups) for group in grouped.groups.groups] == [("sliding", 1), ("full", 1)]
    whole = llmcalc.serve("gpt-oss-20b", "h100", disable_cache_groups=True)
    assert whole.groups.n_groups == 1
    assert whole.concurrency.best < grouped.concurrency.best


def test_recurrent_states_enlarge_the_blocks_of_attention() -> None:
    groups = llmcalc.serve("qwen3-next", "h100:4").groups
    (full,) = (group for group in groups.groups if group.kind == "full")
    (state,) = (group for group in groups.groups if group.kind == "state")
    assert full.block_size > 16
    assert full.block_size % 16 == 0
    assert state.n_groups == 3 * full.n_groups  # three recurrent layers to one with attention


def test_layers_that_attend_within_chunks_cache_all_tokens() -> None:
    """Llama 4 Scout on four GPUs (docs/data/engine_vllm.csv): 365,968 tokens in 16.75 GiB."""
    groups = llmcalc.serve("llama4", "h100", tp=4, max_model_len=8192).groups
    assert groups.n_groups == 1
    assert 16.75 * GIB / float(groups.block_bytes) * 16 == pytest.approx(365968, rel=0.001)


def test_a_config_says_how_long_a_request_is(tmp_path: Path) -> None:
    config = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
              "num_attention_heads": 4, "vocab_size": 512, "max_position_embeddings": 3072}  # fmt: skip
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config), "utf-8")
    assert llmcalc.serve(file, "24GB").max_model_len == 3072


def test_a_quantised_repository_is_a_preset_in_an_assumed_format() -> None:
    _, _, weights, notes = load_served("Qwen/Qwen3-32B-AWQ", is_repository=True)
    assert weights == "awq-int4-g128"
    assert "assumed" in notes[0]
    with pytest.raises(llmcalc.DescriptionError, match=r"config\.json"):
        load_served("nobody/Nothing-7B", is_repository=True)


@pytest.mark.parametrize(("model", "length"), [("glm-5.1", 202_752), ("glm-5.2", 2**20), ("glm-5.3", 2**20)])
def test_models_with_published_lengths_need_none(model: str, length: int) -> None:
    assert llmcalc.serve(model, "h200:8", weights="fp8").max_model_len == length


def test_an_unknown_context_length_must_be_given(tmp_path: Path) -> None:
    file = tmp_path / "palm-mine.yaml"
    file.write_text(preset_text(llmcalc.load("palm-8b"), "palm-mine"), "utf-8")
    with pytest.raises(llmcalc.InputError, match="context length"):
        llmcalc.serve(file, "h100:8")
    assert llmcalc.serve(file, "h200:16", max_model_len=2048).max_model_len == 2048


def test_the_command_prints_the_answer_first(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "serve",
        "--gpu",
        "h100",
        "--json",
        "--",
        "vllm",
        "serve",
        "Qwen/Qwen3-8B",
        "--port",
        "80",
        "--enable-eplb",
    ]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)["result"]
    assert found["listed"] == ["--port"]
    assert found["unmodelled"] == ["--enable-eplb"]
    assert found["starts"]
    assert found["available"]["low"] < found["available"]["high"]
    assert main(["serve", "qwen3-32b", "--gpu", "24GB"]) == 1
    assert capsys.readouterr().out.startswith("✗ Will not start: weights and activations exceed")


@pytest.mark.parametrize(
    ("name", "gib"),  # "Model loading took", docs/data/engine_vllm.csv
    [("Meta-Llama-3.1-8B-Instruct-quantized.w8a8", 8.49), ("Qwen2.5-7B-Instruct-quantized.w8a8", 8.14)],
)
def test_the_names_of_quantised_repositories_are_read(name: str, gib: float) -> None:
    result = llmcalc.serve(command=f"vllm serve RedHatAI/{name} --max-model-len 8192", gpu="h100")
    assert result.memory.weights.best / 2**30 == pytest.approx(gib, abs=0.006)
    assert result.settings["weights"] == "int8-channel"


def test_buffers_of_experts_follow_from_their_matrices() -> None:
    mixtral, plain = (llmcalc.load(name, overrides=["n_layers=2"]) for name in ("mixtral-8x7b", "switch-base-8"))
    assert expert_buffers(mixtral, Mesh(), ()) == 2 * (2 * 14336 + 14336)  # up- and gate projections, gated activations
    assert expert_buffers(mixtral, Mesh(tp=7), ()) == 2 * (max(2 * 2048, 4096) + 2048)
    assert expert_buffers(plain, Mesh(), ()) == 1 * (3072 + 3072)  # no gate


def test_tables_of_scaled_rotary_positions_are_longer() -> None:
    """The log of vLLM states 8.58 GiB for gemma-3-4b-it (docs/data/engine_vllm.csv)."""
    run: dict[str, Any] = {"engine": "vllm", "max_model_len": 8192}
    scaled = llmcalc.serve("gemma3-4b", "h100", **run).memory.weights.best
    alone = llmcalc.serve(llmcalc.load("gemma3-4b", overrides=["rope_scaling=none"]), "h100", **run).memory.weights.best
    assert scaled - alone == 7 * 131072 * 256 * 2
    assert scaled == pytest.approx(8.58 * 2**30, rel=0.002)


@pytest.mark.parametrize("load", [{}, {"isl": 101, "osl": 53, "concurrency": 3}])
@pytest.mark.parametrize("command", [True, 5, [1, 2], [None]])
def test_a_command_is_a_list_of_strings(command: object, load: dict[str, int]) -> None:
    with pytest.raises(llmcalc.InputError, match="command: must be a list of strings"):
        llmcalc.serve(gpu="h100", command=command, **load)


@pytest.mark.parametrize(
    "command",
    [
        "vllm serve Qwen/Qwen2.5-72B-Instruct-AWQ --quantization awq_marlin --max-model-len 4093",
        "vllm serve nvidia/Llama-3.3-70B-Instruct-FP4 --quantization modelopt_fp4 --max-model-len 4093",
        "python -m sglang.launch_server --model Qwen/Qwen2.5-72B-Instruct-AWQ --quantization awq_marlin",
    ],
)
def test_a_method_computes_with_the_format_of_the_repository(command: str) -> None:
    words = command.split()
    plain = [word for word in words if word not in ("--quantization", words[words.index("--quantization") + 1])]
    assert llmcalc.serve(command=words, gpu="h100:2").memory == llmcalc.serve(command=plain, gpu="h100:2").memory
    load = {"gpu": "h100:2", "isl": 101, "osl": 103, "concurrency": 3}
    one, other = (llmcalc.serve(command=each, **load) for each in (words, plain))
    assert one.tpot_s == other.tpot_s


def test_a_format_that_is_computed_while_loading_replaces_that_of_the_repository() -> None:
    command = "vllm serve Qwen/Qwen3-32B-AWQ --quantization {} --max-model-len 4093"
    own, other = (llmcalc.serve(command=command.format(name), gpu="h100") for name in ("awq", "fp8"))
    assert own.memory.weights.best < other.memory.weights.best


LONG = {
    "vllm serve Qwen/Qwen3-8B --max-model-len {}": "VLLM_ALLOW_LONG_MAX_MODEL_LEN",
    "python -m sglang.launch_server --model Qwen/Qwen3-8B --context-length {}":
        "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN",
}  # fmt: skip


@pytest.mark.parametrize("command", LONG)
def test_requests_beyond_the_positions_of_the_model_are_refused(command: str) -> None:
    refused = llmcalc.serve(command=command.format(40961), gpu="h100")
    assert refused.verdict != "starts"
    assert f"{LONG[command]}=1" in refused.refusals[0]
    assert refused.changes[0][0] == {"max_model_len": 40960}
    assert llmcalc.serve(command=command.format(40960), gpu="h100").verdict == "starts"
    assert llmcalc.serve(command=f"{LONG[command]}=1 {command.format(40961)}", gpu="h100").verdict == "starts"


def test_flags_that_scale_the_positions_allow_longer_requests() -> None:
    command = """vllm serve Qwen/Qwen3-8B --max-model-len 131072 --hf-overrides '{"rope_scaling": {"factor": 4}}'"""
    assert llmcalc.serve(command=command, gpu="h100").verdict == "starts"


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", 262144),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507-FP8", 262144),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", 262144),
        ("zai-org/GLM-4.6", 202752),
        ("moonshotai/Kimi-K2-Thinking", 262144),
        ("moonshotai/Kimi-K2-Instruct", 131072),
        ("Qwen/Qwen3-30B-A3B", 40960),
    ],
)
def test_a_release_has_the_positions_of_its_own_config(name: str, length: int) -> None:
    assert llmcalc.serve(command=f"vllm serve {name} -tp 4", gpu="h200:4").max_model_len == length


def test_the_blocks_of_a_quantised_repository_are_not_divided() -> None:
    divided = llmcalc.serve(command="vllm serve Qwen/Qwen3-235B-A22B-FP8 -tp 8", gpu="h200:8")
    assert "192 per rank, not a multiple of the quantisation block of 128" in divided.refusals[0]
    assert {"tp": 4} in [change for change, _ in divided.changes]
    assert {"expert_parallel": True} in [change for change, _ in divided.changes]
    assert llmcalc.serve(command="vllm serve Qwen/Qwen3-235B-A22B-FP8 -tp 4", gpu="h200:4").verdict == "starts"


def test_fewer_ranks_are_suggested_where_there_are_fewer_gpus() -> None:
    found = llmcalc.serve(command="vllm serve Qwen/Qwen3-8B -tp 8", gpu="h100:2")
    assert {"tp": 2} in [change for change, _ in found.changes]


def test_an_automatic_length_fits_in_every_case() -> None:
    found = llmcalc.serve(command="vllm serve meta-llama/Llama-3.1-8B-Instruct --max-model-len auto", gpu="l4")
    assert found.verdict == "starts"
    assert found.max_model_len == found.longest < 131072


def test_ranks_that_no_machine_has_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = list[Any]()
    divide = engine_start._divide_memory

    def counted(*arguments: Any) -> Any:
        tried.append(arguments)
        return divide(*arguments)

    monkeypatch.setattr(engine_start, "_divide_memory", counted)
    with suppress(llmcalc.InputError):
        assert llmcalc.serve(command=f"vllm serve Qwen/Qwen3-8B -tp {10**18 - 1}", gpu="rtx4090").changes
    assert 0 < len(tried) < 100


def test_a_command_uses_the_gpus_that_it_states() -> None:
    line = "vllm serve meta-llama/Llama-3.1-8B-Instruct --max-model-len 4096"
    ranks = [llmcalc.serve(command=line + more, gpu="h100:2").ranks for more in ("", " -tp 2")]
    assert ranks == [1, 2]
    assert llmcalc.serve("llama3.1-8b", "h100:2", max_model_len=4096).ranks == 2


def test_vllm_alone_has_a_shorter_length_before_a_model_is_extended() -> None:
    """The longrope of Phi-3 mini: 4,096 positions, 131,072 with the factors of long contexts."""
    lengths = {engine: llmcalc.serve("phi3-mini-128k", "h100", engine=engine).max_model_len for engine in ENGINES[:2]}
    assert lengths == {"vllm": 4096, "sglang": 131_072}


def test_only_several_gpus_exchange_activations_in_llama_cpp() -> None:
    run: dict[str, Any] = {"engine": "llama.cpp", "max_model_len": 4096}
    one, two = (llmcalc.serve("llama3.1-8b", f"h100:{count}", **run).memory.non_torch for count in (1, 2))
    assert one.best < two.best
    none = llmcalc.serve("llama3.1-8b", "h100", **run, gpu_layers=0)
    assert none.memory.non_torch == one
    assert none.placed is not None
    assert none.groups.block_bytes == none.placed.largest.cache == 0


@pytest.mark.parametrize(("name", "is_repository"), [("example-org/unknown-7b", True), ("models/unknown/7b", False)])
def test_a_model_that_no_preset_describes_is_read_from_its_config(name: str, is_repository: bool) -> None:
    with pytest.raises(llmcalc.InputError) as error:
        llmcalc.serve(command=f"vllm serve {name}", gpu="h100")
    assert (f"hf:{name}" in error.value.hint) is is_repository
    assert "config.json" in error.value.hint


@pytest.mark.parametrize("gpu", [0, -1])
def test_a_gpu_has_memory(gpu: int) -> None:
    with pytest.raises(llmcalc.InputError, match=f"of at least 1, not {gpu}"):
        llmcalc.serve("gpt2", gpu)
