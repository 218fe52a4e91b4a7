"""Command lines that projects publish are read right, and each flag that is read changes the prediction.

Shell variables of the sources are replaced by values.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

import llmcalc
from llmcalc import UnknownNameError
from llmcalc.data import tables
from llmcalc.importers.engine_commands import read_command
from llmcalc.serving.start.start import Start


class Published(NamedTuple):
    """Published lines of an engine.

    Attributes:
        engine: name of the engine's profile.
        gpu: GPUs on which the line is predicted.
        lines: command lines; the predictions are those of the first one.
        settings: settings of all lines.
        unmodelled: flags of all lines whose effect is not computed.
        others: replacements of a text of the first line, each of which changes the prediction.
        unshared: replacements that change it once the share of the memory is not given, by the text of the share.
        equal: settings without effect on the memory of this line, because others give the same sizes or for times only.
    """

    engine: str
    gpu: str
    lines: tuple[str, ...]
    settings: dict[str, str]
    unmodelled: tuple[str, ...]
    others: dict[str, str]
    unshared: tuple[str, dict[str, str]] = ("", {})
    equal: tuple[str, ...] = ()


PUBLISHED = [
    Published(
        "vllm",
        "gb10:2",
        # vllm-project/recipes@8959cf6418: models/Qwen/Qwen3.6-27B.yaml, two DGX Spark
        (
            r"""
            docker run --privileged --ulimit nofile=1048576:1048576 --ipc=host --gpus all --rm --network host \
            --entrypoint="" -e NCCL_IB_DISABLE=0 -v "$HOME/.cache/huggingface:/root/.cache/huggingface" \
            vllm/vllm-openai:v0.24.0-ubuntu2404 vllm serve nvidia/Qwen3.6-27B-NVFP4 --host 0.0.0.0 --port 8000 \
            --trust-remote-code --kv-cache-dtype fp8 --attention-backend flashinfer --gpu-memory-utilization 0.5 \
            --max-model-len 262144 --max-num-seqs 10 --max-num-batched-tokens 8192 --enable-chunked-prefill \
            --async-scheduling --enable-prefix-caching \
            --speculative-config '{"method":"mtp","num_speculative_tokens":3}' --load-format fastsafetensors \
            --reasoning-parser qwen3 --tool-call-parser qwen3_coder --enable-auto-tool-choice \
            --tensor-parallel-size 2 --nnodes 2 --node-rank 0 --master-addr 10.0.0.1 --master-port 29501
            """,
        ),
        {
            "cache": "fp8", "share": "0.5", "max_model_len": "262144", "max_num_seqs": "10",
            "max_num_batched_tokens": "8192", "chunked_prefill": "true", "async_scheduling": "true",
            "prefix_caching": "true", "tp": "2",
            "speculative_config": '{"method":"mtp","num_speculative_tokens":3}',
        },
        (),
        {
            "--kv-cache-dtype fp8": "", "--gpu-memory-utilization 0.5": "",
            "--max-model-len 262144": "--max-model-len 8192", "--max-num-seqs 10": "",
            "--max-num-batched-tokens 8192": "--max-num-batched-tokens 16384",
            "--enable-prefix-caching": "--no-enable-prefix-caching", "--tensor-parallel-size 2": "",
            """--speculative-config '{"method":"mtp","num_speculative_tokens":3}'""": "",
            "-NVFP4": "",
        },
        equal=("chunked_prefill", "async_scheduling"),  # the second has an effect on windows from 0.26 on
    ),
    Published(
        "sglang",
        "h100:8",
        # SemiAnalysisAI/InferenceX@843c6254ff: benchmarks/single_node/fixed_seq_len/qwen3.5_fp8_h100_mtp.sh
        (
            r"""
            python3 -m sglang.launch_server --model Qwen/Qwen3.5-397B-A17B-FP8 --host 0.0.0.0 --port 8888 --tp 8 \
            --expert-parallel-size 8 --reasoning-parser qwen3 --tool-call-parser qwen3_coder \
            --enable-flashinfer-allreduce-fusion --max-running-requests 64 --chunked-prefill-size 8192 \
            --decode-log-interval 1 --mem-fraction-static 0.75 --cuda-graph-max-bs 64 --context-length 9236 \
            --kv-cache-dtype fp8_e4m3 --quantization fp8 --attention-backend flashinfer --stream-interval 50 \
            --tokenizer-worker-num 6 --mamba-ssm-dtype bfloat16 --disable-radix-cache --trust-remote-code \
            --speculative-algorithm EAGLE --speculative-num-steps 3 --speculative-eagle-topk 1 \
            --speculative-num-draft-tokens 4
            """,
        ),
        {
            "tp": "8", "ep": "8", "max_num_seqs": "64", "max_num_batched_tokens": "8192", "share": "0.75",
            "graph_sequences": "64", "max_model_len": "9236", "cache": "fp8_e4m3", "weights": "fp8",
            "disable_radix_cache": "true", "draft_method": "EAGLE", "draft_tokens": "4", "draft_steps": "3",
            "draft_width": "1", "state_dtype": "bfloat16",
        },
        (),
        {
            "--tp 8": "--tp 4", "--max-running-requests 64": "--max-running-requests 16",
            "--mem-fraction-static 0.75": "", "--context-length 9236": "",
            "--kv-cache-dtype fp8_e4m3": "", "--quantization fp8": "--quantization modelopt_fp4",
            "--disable-radix-cache": "", "--speculative-algorithm EAGLE": "",
            "--speculative-num-draft-tokens 4": "--speculative-num-draft-tokens 3",
            "--mamba-ssm-dtype bfloat16": "",
        },
        (
            "--mem-fraction-static 0.75",
            {
                "--chunked-prefill-size 8192": "--chunked-prefill-size 16384",
                "--cuda-graph-max-bs 64": "--cuda-graph-max-bs 512",
            },
        ),
        ("ep", "draft_steps", "draft_width"),
    ),
    Published(
        "tensorrt-llm",
        "h200:8",
        (
            # SemiAnalysisAI/InferenceX@843c6254ff:
            # benchmarks/single_node/fixed_seq_len/deprecated/gptoss_fp4_h200_trt.sh
            r"""
            mpirun -n 1 --oversubscribe --allow-run-as-root trtllm-serve openai/gpt-oss-120b --max_batch_size 64 \
            --max_num_tokens 20000 --max_seq_len=9416 --backend pytorch --extra_llm_api_options gptoss-config.yml \
            --ep_size=8 --trust_remote_code --gpus_per_node 8 --host 0.0.0.0 --port 8888 --tp_size=8 --pp_size=1
            """,
            # NVIDIA/TensorRT-LLM: docs/source/deployment-guide/quick-start-recipe-for-llama4-scout-on-trtllm.md
            r"""
            trtllm-serve nvidia/Llama-4-Scout-17B-16E-Instruct-FP8 --host 0.0.0.0 --port 8000 --backend pytorch \
            --max_batch_size 1024 --max_num_tokens 2048 --max_seq_len 2048 --kv_cache_free_gpu_memory_fraction 0.9 \
            --tp_size 1 --ep_size 1 --trust_remote_code --extra_llm_api_options extra.yml
            """,
            # InferenceX@843c6254ff: dsv4_fp4_b300_trt.sh and agentic/minimaxm3_fp4_b300_trt_mtp.sh
            r"""
            trtllm-serve deepseek-ai/DeepSeek-V4-Pro --custom_tokenizer deepseek_v4 --config extra.yml \
            --chat_template chat_template.jinja
            """,
            # a public guide to serve an engine of TensorRT on a cluster
            r"""
            trtllm-serve serve --tokenizer ../../hf-cache/models/Qwen2.5-3B --backend trt --log_level info \
            --max_batch_size 32 --max_num_tokens 8192 --num_postprocess_workers 0 ../model/trt_engines/qwen2/W16A16
            """,
            # NVIDIA/TensorRT-LLM@14e6b10f48: examples/serve/deepseek_r1_reasoning_parser.sh
            r"""
            trtllm-serve deepseek-ai/DeepSeek-R1 --host localhost --port 8000 --trust_remote_code \
            --max_batch_size 1024 --max_num_tokens 8192 --tp_size 8 --ep_size 8 --pp_size 1 \
            --config ./extra-llm-api-config.yml --reasoning_parser deepseek-r1
            """,
        ),
        {
            "max_num_seqs": "64", "max_num_batched_tokens": "20000", "max_model_len": "9416", "ep": "8", "tp": "8",
            "pp": "1",
        },
        ("--backend", "--extra-llm-api-options"),
        {
            "--max_batch_size 64": "", "--max_num_tokens 20000": "", "--max_seq_len=9416": "",
            "--tp_size=8": "--tp_size=4", "--pp_size=1": "--pp_size=2",
        },
        equal=("ep",),
    ),
    Published(
        "llama.cpp",
        "24GB",
        (
            # mostlygeek/llama-swap@0bdb372019: docs/examples/aider-qwq-coder/llama-swap.yaml, qwen-coder-32B and QwQ
            r"""
            /path/to/llama-server --host 127.0.0.1 --port 8999 --flash-attn --slots --ctx-size 16000 \
            --ctx-size-draft 16000 --model /path/to/Qwen2.5-Coder-32B-Instruct-Q4_K_M.gguf \
            --model-draft /path/to/Qwen2.5-Coder-1.5B-Instruct-Q8_0.gguf -ngl 99 -ngld 99 --draft-max 16 \
            --draft-min 4 --draft-p-min 0.4 --cache-type-k q8_0 --cache-type-v q8_0
            """,
            r"""
            /path/to/llama-server --host 127.0.0.1 --port 9503 --flash-attn --metrics --slots \
            --model /path/to/Qwen_QwQ-32B-Q4_K_M.gguf --cache-type-k q8_0 --cache-type-v q8_0 --ctx-size 32000 \
            --samplers "top_k;top_p;min_p;temperature;dry;typ_p;xtc" --temp 0.6 --repeat-penalty 1.1 \
            --dry-multiplier 0.5 --min-p 0.01 --top-k 40 --top-p 0.95 -ngl 99 -ngld 99
            """,
            # the same repository: docs/examples/speculative-decoding/README.md, with the commit of the build
            r"""
            /mnt/nvme/llama-server/llama-server-be0e35 --host 127.0.0.1 --port 9602 --flash-attn --metrics \
            --split-mode row --ctx-size 80000 --model /mnt/nvme/models/Meta-Llama-3.1-70B-Instruct-Q4_K_L.gguf \
            -ngl 99 --device-draft CUDA1
            """,
        ),
        {
            "max_model_len": "16000", "draft": "/path/to/Qwen2.5-Coder-1.5B-Instruct-Q8_0.gguf", "gpu_layers": "99",
            "draft_gpu_layers": "99", "draft_tokens": "16", "cache": "q8_0", "cache_v": "q8_0",
            "draft_context": "16000",
        },
        (),
        {
            "--ctx-size 16000": "", "Qwen2.5-Coder-32B-Instruct-Q4_K_M": "Qwen2.5-Coder-32B-Instruct-Q4_0",
            "--model-draft /path/to/Qwen2.5-Coder-1.5B-Instruct-Q8_0.gguf": "", "-ngl 99": "-ngl 40",
            "-ngld 99": "-ngld 9", "--cache-type-k q8_0": "", "--cache-type-v q8_0": "",
            "--ctx-size-draft 16000": "--ctx-size-draft 4000",
        },
        equal=("draft_tokens",),
    ),
]  # fmt: skip


LONG = "OLLAMA_CONTEXT_LENGTH=64000 OLLAMA_NUM_PARALLEL=2 OLLAMA_KV_CACHE_TYPE=q8_0 ollama run qwen3:8b"
IDS = [case.engine for case in PUBLISHED]


def prediction(line: str, gpu: str) -> tuple[object, ...]:
    found = llmcalc.serve(command=line, gpu=gpu)
    assert isinstance(found, Start)
    return found.memory, found.tokens, found.concurrency, found.host, found.refusals


@pytest.mark.parametrize("case", PUBLISHED, ids=IDS)
def test_a_published_line_is_read_right(case: Published) -> None:
    found = [read_command(line) for line in case.lines]
    assert {each.engine for each in found} == {case.engine}
    assert found[0].settings == case.settings
    assert found[0].unmodelled == case.unmodelled
    assert len({flag for each in found for flag in (*each.settings, *each.listed, *each.unmodelled)}) >= 20


@pytest.mark.parametrize("case", PUBLISHED, ids=IDS)
def test_each_flag_that_is_read_has_its_effect(case: Published) -> None:
    line, (share, unshared) = case.lines[0], case.unshared
    changed = set(case.equal)
    for text, other in (*case.others.items(), *unshared.items()):
        whole = line.replace(share, "") if text in unshared else line
        assert text in whole
        assert prediction(whole.replace(text, other), case.gpu) != prediction(whole, case.gpu), text
        found = read_command(line.replace(text, other)).settings
        changed |= {name for name, value in case.settings.items() if found.get(name) != value}
    assert changed == set(case.settings)


def test_a_recipe_of_tensorrt_llm_states_the_share() -> None:
    line = PUBLISHED[2].lines[1]
    found = read_command(line).settings
    assert found == {
        "max_num_seqs": "1024", "max_num_batched_tokens": "2048", "max_model_len": "2048", "share": "0.9",
        "tp": "1", "ep": "1",
    }  # fmt: skip
    assert prediction(line.replace("fraction 0.9", "fraction 0.5"), "h200:2") != prediction(line, "h200:2")


@pytest.mark.parametrize("case", PUBLISHED, ids=IDS)
def test_an_unknown_flag_of_each_engine_is_named(case: Published) -> None:
    title = tables("engines")[case.engine]["title"]
    for line in case.lines:
        with pytest.raises(UnknownNameError, match=rf"unknown {re.escape(title)} flag '--no-such-flag'"):
            read_command(f"{line.strip()} --no-such-flag 3")


def test_flags_and_variables_of_ollama_are_read() -> None:
    """The flags are those of ollama/ollama: cmd/cmd.go; the variables are in its docs/faq.mdx."""
    flags = "--verbose --think=low --hidethinking --nowordwrap --keepalive 24h --format json --insecure --truncate"
    found = read_command(f"{LONG} {flags} --dimensions 8 'Draft a headline'")
    assert found.settings == {"max_model_len": "64000", "max_num_seqs": "2", "cache": "q8_0", "cache_v": "q8_0"}
    assert len(found.listed) == 9
    assert not found.unmodelled
    whole = prediction(LONG, "24GB")
    for text in ("OLLAMA_CONTEXT_LENGTH=64000 ", "OLLAMA_NUM_PARALLEL=2 ", "OLLAMA_KV_CACHE_TYPE=q8_0 "):
        assert prediction(LONG.replace(text, ""), "24GB") != whole
    with pytest.raises(UnknownNameError, match="unknown ollama run flag '--ctx-size'"):
        read_command("ollama run qwen3:8b --ctx-size 4096")


@pytest.mark.parametrize(
    ("line", "settings"),
    [
        # vllm-project/recipes@8959cf6418: Qwen/Qwen3-VL.md, and recipes with one flag for each key
        ("vllm serve a/b --tensor-parallel 4", {"tp": "4"}),
        ("vllm serve a/b --limit-mm-per-prompt.video 0", {"images_per_prompt": '{"video": 0}'}),
        (
            "vllm serve a/b --speculative-config.method mtp --speculative-config.num_speculative_tokens 2",
            {"speculative_config": '{"method": "mtp", "num_speculative_tokens": 2}'},
        ),
        ("python3 -m sglang.launch_server --model a/b --mem-fraction 0.8", {"share": "0.8"}),
        ("./llama-server.exe -m a.gguf -c 512", {"max_model_len": "512"}),
        ("'vllm serve a/b -tp 2'", {"tp": "2"}),
    ],
)
def test_other_ways_to_write_a_flag(line: str, settings: dict[str, str]) -> None:
    assert read_command(line).settings == settings


def test_an_abbreviation_of_several_flags_is_unknown() -> None:
    with pytest.raises(UnknownNameError, match="--max-num"):
        read_command("vllm serve a/b --max-num 4")
