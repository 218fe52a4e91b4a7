"""Logs of serving engines are read line by line, whatever they contain."""

from __future__ import annotations

import time

import pytest

from llmcalc.importers import engine_logs
from llmcalc.importers.engine_logs import LONGEST_LINE, MOST_CHARACTERS, read_log, read_log_file

VLLM = """\
(APIServer pid=1) INFO 04-22 01:04:39 [utils.py:299]   ▄▄ ▄█ █     █     █ ▀▄▀ █  version 0.19.0
(APIServer pid=1) INFO 04-22 01:04:39 [utils.py:233] non-default args: {'model_tag': 'some/model', \
'model': 'some/model', 'max_model_len': 8191, 'gpu_memory_utilization': 0.93, 'tensor_parallel_size': 2, \
'enable_prefix_caching': False, 'speculative_config': {'method': 'mtp', 'num_speculative_tokens': 3}, 'x': ['a, b', 7]}
(Worker pid=2) DEBUG [gpu_worker.py:284] worker init memory snapshot: free_memory=77.71GiB, total_memory=79.19GiB
(Worker_TP0 pid=2) INFO [gpu_model_runner.py:4820] Model loading took 7.51 GiB memory and 2.876747 seconds
(Worker_TP1 pid=3) INFO [gpu_model_runner.py:4820] Model loading took 7.53 GiB memory and 2.876747 seconds
(Worker_TP0 pid=2) DEBUG Memory profiling takes 9.27 seconds. Total non KV cache memory: 5.43GiB; torch peak memory \
increase: 1.1GiB; non-torch forward increase memory: 0.07GiB; weights memory: 7.51GiB.
(Worker_TP0 pid=2) INFO [gpu_worker.py:436] Available KV cache memory: 61.3 GiB
(Worker_TP1 pid=3) INFO [gpu_worker.py:436] Available KV cache memory: 61.1 GiB
(EngineCore pid=4) INFO GPU KV cache size: 1,000,003 tokens, Maximum concurrency for 8,191 tokens per request: 122.09x
(Worker_TP0 pid=2) INFO [gpu_model_runner.py:6046] Graph capturing finished in 9 secs, took 0.67 GiB
"""
SGLANG = """\
[2025-08-31 10:00:00] server_args=ServerArgs(model_path='some/other', tp_size=1, mem_fraction_static=0.874, \
max_total_tokens=20480, cuda_graph_bs=[1, 2, 4], json_model_override_args='{}', speculative_algorithm=None)
[2025-08-31 10:00:01] Load weight begin. avail mem=78.58 GB
[TP0] Load weight end. type=Qwen2ForCausalLM, dtype=torch.bfloat16, avail mem=64.20 GB, mem usage=14.38 GB.
[2025-08-31 10:00:03] KV Cache is allocated. #tokens: 20479, K size: 0.55 GB, V size: 0.57 GB
[2025-08-31 10:00:04] Memory pool end. avail mem=62.91 GB
[2025-08-31 10:00:05] Capture cuda graph end. Time elapsed: 0.87 s. mem usage=0.09 GB. avail mem=62.72 GB.
"""
LLAMA_CPP = """\
build: 6699 (abcdef01) with cc for x86_64-linux-gnu
llama_model_load_from_file_impl: using device CUDA0 (NVIDIA GeForce RTX 3090) - 23000 MiB free
llama_model_loader: - kv   1:  general.name str  = Gpt Oss 20b
load_tensors: offloaded 25/25 layers to GPU
load_tensors:        CUDA0 model buffer size = 10240.00 MiB
load_tensors:        CUDA1 model buffer size =  1024.00 MiB
load_tensors:   CPU_Mapped model buffer size =   512.00 MiB
llama_context: n_ctx         = 131072
llama_context: n_ubatch      = 512
llama_kv_cache: size = 3072.00 MiB (131072 cells,  12 layers,  1/1 seqs), K (q8_0): 1536.00 MiB, V (f16): 1536.00 MiB
llama_kv_cache: size =   18.00 MiB (   768 cells,  12 layers,  1/1 seqs), K (q8_0):    9.00 MiB, V (f16):    9.00 MiB
llama_context:      CUDA0 compute buffer size =   398.38 MiB
llama_context:  CUDA_Host compute buffer size =   261.01 MiB
"""
TENSORRT = "[TensorRT-LLM][INFO] [MemUsageChange] Allocated 26.91 GiB for max tokens in paged KV cache (220480).\n"


def read(text: str) -> engine_logs.EngineLog:
    log = read_log(text.splitlines(keepends=True))
    assert log is not None
    return log


def test_vllm() -> None:
    log = read(VLLM)
    assert (log.engine, log.version, log.model) == ("vllm", "0.19.0", "some/model")
    assert log.arguments["max_model_len"] == 8191
    assert log.arguments["enable_prefix_caching"] is False
    assert log.arguments["speculative_config"] == {"method": "mtp", "num_speculative_tokens": 3}
    assert log.arguments["x"] == ["a, b", 7]
    expected = {"gpu_memory_gib": 79.19, "weights_gib": 7.53, "activation_gib": 1.1, "non_torch_gib": 0.07}
    expected |= {"kv_cache_gib": 61.1, "kv_cache_tokens": 1_000_003, "concurrency": 122.09, "concurrency_tokens": 8191}
    assert log.figures == expected | {"graphs_gib": 0.67}


def test_sglang() -> None:
    log = read(SGLANG)
    assert (log.engine, log.model, log.arguments["mem_fraction_static"]) == ("sglang", "some/other", 0.874)
    assert (log.arguments["cuda_graph_bs"], log.arguments["speculative_algorithm"]) == ([1, 2, 4], None)
    expected = {"free_gib": 78.58, "weights_gib": 14.38, "kv_cache_tokens": 20479, "k_gib": 0.55, "v_gib": 0.57}
    assert log.figures == expected | {"free_after_pool_gib": 62.91, "graphs_gib": 0.09}


def test_llama_cpp_adds_the_buffers_of_devices_and_caches() -> None:
    log = read(LLAMA_CPP)
    assert (log.engine, log.version, log.model) == ("llama.cpp", "6699", "Gpt Oss 20b")
    assert log.device == "NVIDIA GeForce RTX 3090"
    expected = {"ctx_size": "131072", "ubatch_size": "512", "gpu_layers": "25"}
    assert log.arguments == expected | {"cache_type_k": "q8_0", "cache_type_v": "f16"}
    figures = {"weights_gib": 11.0, "host_weights_gib": 0.5, "kv_mib": 3090.0, "compute_mib": 398.38}
    assert log.figures == figures | {"host_compute_mib": 261.01}


def test_tensorrt_llm() -> None:
    log = read(TENSORRT)
    assert (log.engine, log.figures) == ("tensorrt-llm", {"kv_cache_gib": 26.91, "kv_cache_tokens": 220480})


@pytest.mark.parametrize("text", ["", "\n" * 99, "hello, 7 GiB of it\n", "\0\0\0", "{'a': " * 999])
def test_another_text_is_no_log(text: str) -> None:
    assert read_log(text.splitlines(keepends=True)) is None


@pytest.mark.parametrize(
    "line",
    [
        "vLLM non-default args: {" + "'a': {" * 9_999,
        "vLLM non-default args: {" + "[" * 60_000 + "}",
        "vLLM non-default args: {'a': '" + "x" * 60_000,
        "server_args=ServerArgs(" + "a=(" * 20_000,
        "llama_context" * 5_000 + ": n_ctx = 7 MiB",
        "load_tensors: " + " " * 60_000 + "MiB",
        "general.name " + " " * 60_000 + "llama_model size = ",
        "KV Cache is allocated. " * 2_500 + "mem= GB",
        "(" * 30_000 + "1" * 30_000 + "/7 GiB) vllm",
        "GPU KV cache size: " + "1," * 30_000 + " tokens",
    ],
)
def test_a_hostile_line_costs_little_time(line: str) -> None:
    began = time.perf_counter()
    read_log([line + "\n"] * 9)
    assert time.perf_counter() - began < 2


def test_the_start_of_a_long_log_is_read(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(engine_logs, "MOST_CHARACTERS", 2 * len(VLLM))
    path = tmp_path / "server.log"
    path.write_bytes(VLLM.encode() + b"\xff\xfe" + b"y" * 3 * LONGEST_LINE + SGLANG.encode())
    log = read_log_file(path)
    assert log is not None
    assert (log.engine, log.figures["concurrency"]) == ("vllm", 122.09)
    assert 100 * len(VLLM) < MOST_CHARACTERS


def test_nested_values_have_a_limit() -> None:
    nested = "[" * 40 + "7" + "]" * 40
    assert read(f"vLLM non-default args: {{'deep': {nested}, 'flat': 7}}\n").arguments["flat"] == 7
