"""Options that command lines of serving engines are written with."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc.data import tables
from llmcalc.engines.settings import setting_flags

TRTLLM_SERVE = """
    backend chat_template cluster_size config context_parallel_size cp_size custom_module_dirs custom_tokenizer
    disagg_cluster_uri enable_chunked_prefill ep_size extra_llm_api_options fail_fast_on_attention_window_too_large
    free_gpu_memory_fraction gpus_per_node host kv_cache_dtype kv_cache_free_gpu_memory_fraction log_level
    max_batch_size max_beam_width max_num_tokens max_seq_len media_io_kwargs metadata_server_config_file
    moe_cluster_parallel_size moe_expert_parallel_size num_postprocess_workers otlp_traces_endpoint
    pipeline_parallel_size port pp_size reasoning_parser revision server_role tensor_parallel_size tokenizer
    tool_parser tp_size trust_remote_code
"""  # NVIDIA/TensorRT-LLM, tensorrt_llm/commands/serve.py


@pytest.mark.parametrize("engine", sorted(tables("engines")))
def test_written_flags_have_a_spelling_of_the_engine(engine: str) -> None:
    flags = tables("engines")[engine]["flags"]
    written = setting_flags(flags)
    if engine == "tensorrt-llm":
        assert {flag.removeprefix("--") for flag in written.values()} <= {*TRTLLM_SERVE.split()}
    else:
        assert {*written.values()} <= {*flags["read"]}
    assert {*written} == {*flags["read"].values()}


@pytest.mark.parametrize("given", ["", "--tp_size 1", "--tensor_parallel_size=1", "--tp-size 1"])
def test_changes_of_trtllm_serve_are_written_with_underscores(given: str) -> None:
    result = llmcalc.serve(command=f"trtllm-serve meta-llama/Llama-3.3-70B-Instruct {given}", gpu="h100")
    lines = [result.line(change) for change, _ in result.changes]
    assert any(line.endswith("--tensor_parallel_size 2") for line in lines)
    for line in lines:
        words = [word.partition("=")[0].removeprefix("--") for word in line.split() if word.startswith("--")]
        assert {*words} <= {*TRTLLM_SERVE.split()}
        assert words.count("tensor_parallel_size") + words.count("tp_size") <= 1


def test_layouts_of_trtllm_serve_are_written_with_underscores() -> None:
    found = llmcalc.serve("llama3.3-70b", "h100:4", engine="tensorrt-llm", isl=1000, osl=200, sla="ttft<1s,tpot<30ms")
    lines = [line for one in found.layouts for line in one.commands.values()]
    assert lines
    assert all("--tensor_parallel_size" in line for line in lines)


@pytest.mark.parametrize(
    ("gpu", "model", "ranks", "first"),
    [
        ("rtx3090", "Qwen/Qwen3-14B", [1, 2], {"weights", "max_model_len"}),
        ("rtx4090", "Qwen/Qwen3-14B", [1, 2], {"weights", "max_model_len"}),
        ("a100-sxm-40gb", "Qwen/Qwen3-30B-A3B", [1, 2], {"weights", "max_model_len"}),
        ("h100", "meta-llama/Llama-3.3-70B-Instruct", [1, 2, 4], {"weights", "enforce_eager", "max_model_len"}),
        ("v100-sxm2-32gb", "Qwen/Qwen3-32B --dtype half", [4], {"tp", "gpus"}),  # without fp8
    ],
)
def test_changes_on_the_fewest_gpus_come_first(gpu: str, model: str, ranks: list[int], first: set[str]) -> None:
    changes = llmcalc.serve(gpu=gpu, command=f"vllm serve {model}").changes
    assert [result.ranks for _, result in changes] == ranks
    assert {*changes[0][0]} == first
    assert all(result.verdict == "starts" for _, result in changes)


def test_the_length_with_smaller_weights_is_the_longest_that_starts() -> None:
    result = llmcalc.serve(gpu="rtx3090", command="vllm serve Qwen/Qwen3-14B")
    change, found = result.changes[0]
    assert result.retry is not None
    assert result.retry({**change, "max_model_len": change["max_model_len"] + 1024}).verdict != "starts"
    assert found.max_model_len == change["max_model_len"]


def test_ranks_of_experts_are_the_switch_of_an_engine_that_divides_them_over_all_ranks() -> None:
    asked = {"model": "gpt-oss-20b", "gpu": "h100:4", "dp": 2, "tp": 2, "engine": "vllm"}
    by_ranks, by_switch = (llmcalc.serve(**asked, **own).to_dict() for own in ({"ep": 4}, {"expert_parallel": True}))
    assert by_ranks == by_switch
    assert llmcalc.serve(**asked, ep=1).concurrency == llmcalc.serve(**asked).concurrency != by_ranks["concurrency"]
    with pytest.raises(llmcalc.InputError, match=r"over all ranks of a stage, tp · dp = 4"):
        llmcalc.serve(**asked, ep=2)
