"""Command lines of serving engines: every flag is read, listed, or refused by name."""

from __future__ import annotations

import pytest

from llmcalc import InputError, UnknownNameError
from llmcalc.data import tables
from llmcalc.importers.engine_commands import read_command

VLLM = r"""
HF_HOME=/data CUDA_VISIBLE_DEVICES=0,1,2,3 python -m vllm.entrypoints.openai.api_server \
    --model Qwen/Qwen3-32B --served-model-name qwen small --host 0.0.0.0 --port 8000 -tp 4 \
    --pipeline_parallel_size=2 --max-model-len 131072 --max-num-seqs 64 --max-num-batched-tokens 16k \
    --gpu-memory-utilization 0.9 --kv-cache-dtype fp8 --dtype bfloat16 --quantization fp8 --block-size 32 \
    --no-enable-prefix-caching --enforce-eager --trust-remote-code --seed 7 -O3 --compilation-config.mode 3 \
    --api-key a b --hf-overrides '{"rope_scaling": {"factor": 4.0}}' --reasoning-parser qwen3 --disable-log-requests
"""


def test_twenty_flags_of_vllm_are_read_right() -> None:
    command = read_command(VLLM)
    assert (command.engine, command.model) == ("vllm", "Qwen/Qwen3-32B")
    assert command.settings == {
        "tp": "4", "pp": "2", "max_model_len": "131072", "max_num_seqs": "64", "max_num_batched_tokens": "16k",
        "share": "0.9", "cache": "fp8", "dtype": "bfloat16", "weights": "fp8", "block_size": "32",
        "prefix_caching": "false", "enforce_eager": "true",
    }  # fmt: skip
    assert set(command.listed) == {
        "--served-model-name", "--host", "--port", "--trust-remote-code", "--seed", "--compilation-config", "--api-key",
        "--reasoning-parser", "--disable-log-requests",
    }  # fmt: skip
    assert command.unmodelled == ("--hf-overrides",)
    assert command.environment == {"HF_HOME": "/data", "CUDA_VISIBLE_DEVICES": "0,1,2,3"}


SGLANG = r"""
python3 -m sglang.launch_server --model-path deepseek-ai/DeepSeek-V3 --tp-size 16 --dp 8 --enable-dp-attention \
    --nnodes 2 --node-rank 0 --dist-init-addr 10.0.0.1:5000 --trust-remote-code --host 0.0.0.0 --port=30000 \
    --mem-fraction-static 0.85 --context-length 65536 --chunked-prefill-size 16384 --max-running-requests 256 \
    --page-size 64 --kv-cache-dtype fp8_e4m3 --disable-radix-cache --cuda-graph-max-bs 128 --schedule-policy fcfs \
    --cuda-graph-bs 1 2 4 --reasoning-parser deepseek-r1 --speculative-algorithm EAGLE --max-total-tokens 500000
"""


def test_twenty_flags_of_sglang_are_read_right() -> None:
    command = read_command(SGLANG)
    assert (command.engine, command.model) == ("sglang", "deepseek-ai/DeepSeek-V3")
    assert command.settings == {
        "tp": "16", "dp": "8", "attention_dp": "true", "share": "0.85", "max_model_len": "65536",
        "max_num_batched_tokens": "16384", "max_num_seqs": "256", "block_size": "64", "cache": "fp8_e4m3",
        "disable_radix_cache": "true", "graph_sequences": "128", "max_total_tokens": "500000", "draft_method": "EAGLE",
    }  # fmt: skip
    assert set(command.listed) == {
        "--nnodes", "--node-rank", "--dist-init-addr", "--trust-remote-code", "--host", "--port", "--schedule-policy",
        "--cuda-graph-bs", "--reasoning-parser",
    }  # fmt: skip
    assert command.unmodelled == ()


TENSORRT_LLM = r"""
trtllm-serve serve nvidia/DeepSeek-R1-FP4 --host 0.0.0.0 --port 8000 --backend pytorch --tp_size 8 --ep_size 8 \
    --pp_size 1 \
    --max_batch_size 128 --max_num_tokens 4096 --max_seq_len 8192 --tokenizer t \
    --kv_cache_free_gpu_memory_fraction 0.8 \
    --trust_remote_code --log_level info --num_postprocess_workers 2 --reasoning_parser deepseek-r1 --gpus_per_node 8 \
    --enable_chunked_prefill --extra_llm_api_options more.yml --revision main --max_beam_width 1 --tool_parser x
"""


def test_twenty_flags_of_tensorrt_llm_are_read_right() -> None:
    command = read_command(TENSORRT_LLM)
    assert (command.engine, command.model) == ("tensorrt-llm", "nvidia/DeepSeek-R1-FP4")
    assert command.settings == {
        "tp": "8", "ep": "8", "pp": "1", "max_num_seqs": "128", "max_num_batched_tokens": "4096", "share": "0.8",
        "max_model_len": "8192",
    }  # fmt: skip
    assert set(command.unmodelled) == {"--backend", "--extra-llm-api-options", "--max-beam-width"}
    assert len(command.listed) == 11


LLAMA = r"""
LLAMA_ARG_N_PARALLEL=4 ./build/bin/llama-server -hf unsloth/Qwen3-30B-A3B-GGUF:Q4_K_M -c 32768 -ub 1024 -b 4096 \
    -ngl 99 --n-cpu-moe 20 -ctk q8_0 --cache-type-v q8_0 -fa on --host 0.0.0.0 --port 8080 -t 16 --jinja --no-mmap \
    --temp 0.6 --top-p 0.95 --swa-full -ot exps=CPU --alias qwen --metrics --mlock -np 2 --no-warmup -s 3
"""


def test_twenty_flags_of_llama_cpp_are_read_right() -> None:
    command = read_command(LLAMA)
    assert (command.engine, command.model) == ("llama.cpp", "unsloth/Qwen3-30B-A3B-GGUF:Q4_K_M")
    assert command.settings == {
        "max_model_len": "32768", "max_num_batched_tokens": "1024", "gpu_layers": "99", "cpu_experts": "20",
        "cache": "q8_0", "cache_v": "q8_0", "full_window": "true", "max_num_seqs": "2", "tensor_overrides": "exps=CPU",
    }  # fmt: skip
    assert set(command.listed) == {
        "--batch-size", "--flash-attn", "--host", "--port", "--threads", "--jinja", "--no-mmap", "--temp", "--top-p",
        "--alias", "--metrics", "--mlock", "--no-warmup", "--seed",
    }  # fmt: skip
    assert command.unmodelled == ()
    repeated = read_command("llama-server -m a.gguf -ot a=CPU -ot b=CUDA0 -nkvo --no-op-offload -ncffn 3").settings
    expected = {"tensor_overrides": "a=CPU,b=CUDA0", "host_cache": "true", "host_compute": "true", "cpu_dense": "3"}
    assert repeated == expected
    assert read_command("llama-cli -m a.gguf -fa -c 512").settings == {"max_model_len": "512"}


@pytest.mark.parametrize(
    "line",
    [
        "docker run --gpus all -p 8000:8000 vllm/vllm-openai:v0.11.0 --model a/b --max-model-len 32k",
        "vllm serve a/b --max-model-len=32k",
        "/opt/venv/bin/vllm serve --max_model_len 32k a/b",
    ],
)
def test_the_program_is_found(line: str) -> None:
    command = read_command(line)
    assert (command.model, command.settings) == ("a/b", {"max_model_len": "32k"})


def test_an_unknown_flag_is_refused_by_name() -> None:
    with pytest.raises(UnknownNameError, match="--tensor-paralel-size") as caught:
        read_command("vllm serve a/b --tensor-paralel-size 4")
    assert "--tensor-parallel-size" in caught.value.hint


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ls -la", "no known serving engine"),
        ("vllm serve --port 80", "names no model"),
        ("vllm serve a/b --port", "requires a value"),
        ("vllm serve a/b c/d", "unexpected word"),
        ("vllm serve 'a/b", "invalid quotes"),
        ("vllm serve a/b " + "-" * 131_072, "longer than 131,072 characters"),
    ],
)
def test_other_mistakes_are_explained(line: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_command(line)


@pytest.mark.parametrize("engine", tables("engines"))
def test_a_flag_has_one_place(engine: str) -> None:
    """A flag is read or has no effect, and has one number of values."""
    table = tables("engines")[engine]["flags"]
    values, switches, lists, optional, unmodelled = (
        set(table.get(key, "").split()) for key in ("values", "switches", "lists", "optional", "unmodelled")
    )
    lists |= optional
    read = {flag.lstrip("-") for flag in table["read"]}
    assert not values & switches
    assert not values & lists
    assert not switches & lists
    assert not read & (values | switches | lists | unmodelled)
    assert unmodelled <= values | switches | lists
    assert {full.lstrip("-") for full in table.get("short", {}).values()} <= values | switches | lists | read
