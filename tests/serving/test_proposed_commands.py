"""Command lines and changes that ``serve`` and ``fit`` propose are ones that the engines accept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.core.errors import InputError
from llmcalc.engines.served_models import unserved
from llmcalc.report.serve import serve_document
from llmcalc.schema.export import preset_text
from llmcalc.serving.start.layout_error import LayoutError


@pytest.mark.parametrize(
    ("weights", "cache", "engine", "flags"),
    [
        ("bf16", "bf16", "vllm", ""),
        ("fp8", "fp8", "vllm", " --quantization fp8 --kv-cache-dtype fp8"),
        ("awq-int4-g128", None, "vllm", ""),  # the checkpoint states the method
        ("nf4", None, "vllm", " --quantization bitsandbytes"),
        ("fp8", "fp8", "sglang", " --quantization fp8 --kv-cache-dtype fp8_e4m3"),
    ],
)
def test_a_line_has_the_names_of_the_engine(weights: str, cache: str | None, engine: str, flags: str) -> None:
    line = llmcalc.serve("llama3.1-8b", "h100", weights=weights, cache=cache, engine=engine).line()
    assert line.endswith("meta-llama/Llama-3.1-8B-Instruct" + flags)


@pytest.mark.parametrize("method", ["bf16", "q4_k_m", "nvfp5"])
def test_unknown_methods_are_refused(method: str) -> None:
    for line in ("vllm serve Qwen/Qwen3-8B", "python -m sglang.launch_server --model-path Qwen/Qwen3-8B"):
        with pytest.raises(llmcalc.InputError, match=f"unknown value of --quantization '{method}'"):
            llmcalc.serve(command=f"{line} --quantization {method}", gpu="h100")


def test_llama_cpp_has_a_cache_of_its_own_formats() -> None:
    run: dict[str, Any] = {"engine": "llama.cpp", "isl": 7680, "osl": 512, "concurrency": 12, "weights": "q4_k_m"}
    assert {"cache": "q8_0"} in [change for change, _ in llmcalc.serve("qwen3-30b-a3b", "rtx-4090", **run).changes]
    found = llmcalc.fit("llama3.3-70b", gpu="h100", batch=16, seq=8192, engine="none").changes
    pairs = [(change.settings.get("weights"), change.settings.get("cache")) for change in found]
    assert ("q6_k", "q8_0") in pairs
    assert all(cache != "fp8" or weights in (None, "fp8", "nvfp4", "awq-int4-g128") for weights, cache in pairs)


@pytest.mark.parametrize(
    ("model", "word"),
    [
        ("qwen3-30b-a3b", "Qwen/Qwen3-30B-A3B"), ("qwen3.8-27b", "Qwen/Qwen3.8-27B"),
        ("deepseek-r1", "deepseek-ai/DeepSeek-R1"), ("org/Some-Model", "org/Some-Model"),
    ],
)  # fmt: skip
def test_a_line_names_the_repository(model: str, word: str) -> None:
    from llmcalc.engines.settings import repository

    assert repository(model, "" if "/" in model else llmcalc.load(model).name) == word


def test_llama_cpp_reads_a_file() -> None:
    line = llmcalc.serve("qwen3-8b", "rtx-4090", engine="llama.cpp", weights="q4_k_m", max_model_len=8192).line()
    assert line == "llama-server -m Qwen3-8B-Q4_K_M.gguf --ctx-size 8192"
    again = llmcalc.serve(command=line, gpu="rtx-4090")
    assert again.settings["weights"] == "q4_k_m"
    assert again.line() == line


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp", "tensorrt-llm"])
def test_encoders_of_text_are_not_served(engine: str) -> None:
    result = llmcalc.serve("t5", "h100", engine=engine, max_model_len=512)
    assert not result.starts
    assert "encoder-decoder models" in result.reason
    with pytest.raises(InputError, match="encoder-decoder models"):
        llmcalc.serve("t5", "h100", engine=engine, isl=99, osl=9)


@pytest.mark.parametrize(
    ("model", "engine", "text"),
    [
        ("recurrentgemma-9b", "vllm", "rg lru layers"),
        ("rwkv4-7b", "sglang", "rwkv time mix layers"),
        ("mamba2-2.7b", "tensorrt-llm", "without attention"),
        ("jamba-mini", "tensorrt-llm", "mamba layers"),
    ],
)
def test_models_that_an_engine_cannot_load_have_no_answer(model: str, engine: str, text: str) -> None:
    result = llmcalc.serve(model, "h100", engine=engine, max_model_len=512)
    assert text in result.refusals[0]
    with pytest.raises(InputError, match=text):
        llmcalc.serve(model, "h100", engine=engine, isl=99, osl=9)


@pytest.mark.parametrize(
    ("model", "engine"),
    [("mamba2-2.7b", "vllm"), ("nemotron-h-8b", "tensorrt-llm"), ("qwen3-8b", "tensorrt-llm"), ("jamba-mini", "vllm")],
)
def test_models_that_an_engine_loads_are_not_refused(model: str, engine: str) -> None:
    assert not unserved(engine, llmcalc.load(model))


def test_the_hint_names_engines_that_load_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "mamba2-2.7b", "--gpu", "h100", "--engine", "tensorrt-llm", "--isl", "99", "--osl", "9"]) == 2
    assert "--engine vllm" in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp"])
def test_recurrent_states_are_no_kv_cache(engine: str, tmp_path: Path) -> None:
    few: dict[str, Any] = {"max_num_seqs": 256} if engine == "vllm" else {}
    result = llmcalc.serve("mamba2", "h100", engine=engine, **few)
    assert result.summary.startswith("Starts: recurrent states")
    longer = llmcalc.serve("mamba2", "h100", engine=engine, max_model_len=99_999, **few)
    assert result.groups.block_bytes == longer.groups.block_bytes
    hybrid = llmcalc.load("granite4-h-micro")
    assert llmcalc.serve(hybrid, "h100", engine=engine).max_model_len == 131072
    file = tmp_path / "hybrid.yaml"
    file.write_text(preset_text(hybrid, "hybrid"), "utf-8")
    with pytest.raises(llmcalc.InputError, match="context length"):
        llmcalc.serve(file, "h100", engine=engine)


def test_notes_state_the_number_format_of_states() -> None:
    for model, engine, text in (
        ("mamba2", "vllm", "recurrent states are stored in bf16 and convolution states are stored in bf16"),
        ("qwen3.5-9b", "vllm", "recurrent states are stored in fp32 and convolution states are stored in bf16"),
        ("qwen3.5-9b", "sglang", "recurrent states are stored in fp32 and convolution states are stored in bf16"),
    ):
        assert text in llmcalc.serve(model, "h100", engine=engine).notes
        assert text in llmcalc.serve(model, "h100", engine=engine, isl=512, osl=99).notes
    assert not any("states are" in note for note in llmcalc.serve("llama3.1-8b", "h100").notes)


@pytest.mark.parametrize(
    ("model", "note"),
    [("mamba2", "as in reference code; vLLM stores them in bf16, as serve counts"), ("qwen3.5-9b", "code and in vLLM")],
)
def test_the_format_of_recurrent_states_is_stated(model: str, note: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", model, "--gpu", "h100", "--engine", "none"]) == 0
    assert note in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("line", "gpu"),
    [
        ("vllm serve Qwen/Qwen3-235B-A22B -tp 2 --max-num-seqs 64", "h100:2"),
        ("python -m sglang.launch_server --model-path deepseek-ai/DeepSeek-V3 --tp 8", "h100:8"),
        ("vllm serve Qwen/Qwen3-32B", "rtx4090"),
    ],
)
def test_a_model_that_is_too_large_gets_more_gpus_or_smaller_weights(line: str, gpu: str) -> None:
    result = llmcalc.serve(command=line, gpu=gpu)
    assert not result.starts
    name = gpu.partition(":")[0]
    assert result.changes
    for change, found in result.changes:
        again = llmcalc.serve(command=result.line(change), gpu=f"{name}:{change['gpus']}")
        assert again.verdict == "starts"
        assert again.ranks == found.ranks == change["gpus"] > result.ranks
    kinds = [frozenset(change) - {"tp", "pp"} for change, _ in result.changes]
    assert len(set(kinds)) == len(kinds)
    first = result.changes[0][0]["gpus"]
    half = llmcalc.serve(command=result.line({"tp": first // 2}), gpu=f"{name}:{first // 2}")
    assert half.verdict != "starts"


def test_a_changed_flag_replaces_all_its_names() -> None:
    result = llmcalc.serve(
        command="python -m sglang.launch_server --model-path Qwen/Qwen3-8B --tp 2 --context-length 8192", gpu="h100:2"
    )
    assert result.line({"tp": 4}).endswith("Qwen/Qwen3-8B --context-length 8192 --tp-size 4")


@pytest.mark.parametrize("line", [
    "python -m sglang.launch_server --model-path deepseek-ai/DeepSeek-V3 --tp 8",
    "vllm serve deepseek-ai/DeepSeek-V3 -tp 8",
])  # fmt: skip
def test_the_table_of_the_memory_adds_up(line: str) -> None:
    for gpu in ("h100:8", "h200:8"):
        result = llmcalc.serve(command=line, gpu=gpu)
        table = serve_document(result).tables[0]
        assert table.title == "per GPU"
        assert table.total is not None
        sizes = {row[0]: row[2] * (-1 if row[0] == "missing" else 1) for row in table.rows}
        assert sum(sizes.values()) == pytest.approx(table.total[2], rel=1e-6)
        assert table.total[2] == result.memory.total


@pytest.mark.parametrize("name", ["-hf ggml-org/gpt-oss-20b-GGUF", "-m gpt-oss-20b-mxfp4.gguf"])
def test_a_checkpoint_with_mxfp4_experts_keeps_them_in_llama_cpp(name: str) -> None:
    """The file of ggml-org has 12.1 GB: experts in MXFP4, and q8_0 for the rest (llama-quant.cpp, MXFP4_MOE)."""
    pasted = llmcalc.serve(command=f"llama-server {name} -c 8192", gpu="rtx4090")
    given = llmcalc.serve("gpt-oss-20b", "rtx4090", engine="llama.cpp", max_model_len=8192)
    again = llmcalc.serve(command=given.line(), gpu="rtx4090")
    for found in (pasted, given, again):
        assert found.settings["weights"] == "mxfp4_moe"
        assert found.memory.weights.best + found.host.total.best == pytest.approx(12.1e9, rel=0.003)
    stated = llmcalc.serve("gpt-oss-20b", "rtx4090", engine="llama.cpp", max_model_len=8192, weights="q4_k_m")
    assert stated.settings["weights"] == "q4_k_m"
    assert llmcalc.serve("gpt-oss-20b", "h100").settings.get("weights") is None


@pytest.mark.parametrize(
    ("line", "reason", "fewer"),
    [
        ("vllm serve microsoft/phi-4 -tp 8", "tp (8) does not divide n_kv_heads (10)", 2),
        (
            "python -m sglang.launch_server --model-path Qwen/Qwen2.5-7B-Instruct --tp 8",
            "does not divide n_heads (28)",
            4,
        ),
        ("vllm serve deepseek-ai/DeepSeek-V3 -tp 3", "tp (3) does not divide n_heads (128)", None),
    ],
)
def test_a_command_with_ranks_that_do_not_divide_the_model_does_not_start(
    line: str, reason: str, fewer: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(LayoutError) as caught:
        llmcalc.serve(command=line, gpu="h100:8")
    assert [change for change, _ in caught.value.changes] == ([{"tp": fewer}] if fewer else [])
    assert main(["serve", "--gpu", "h100:8", "--command", line]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("✗ Will not start: tp")
    assert reason in shown
    assert ("\nnext  " in shown) == (fewer is not None)


def test_an_option_with_ranks_that_do_not_divide_the_model_is_invalid() -> None:
    assert main(["serve", "phi-4", "--gpu", "h100:8", "--tp", "8"]) == 2
    assert main(["serve", "phi-4", "--gpu", "h100:8"]) == 0  # another layout is assumed


def test_steps_without_graphs_are_suggested_before_more_gpus() -> None:
    line = "vllm serve Qwen/Qwen2.5-72B-Instruct-AWQ -tp 2 --max-model-len 8192 --gpu-memory-utilization 0.95"
    result = llmcalc.serve(gpu="rtx3090:2", command=line)
    change, found = result.changes[0]
    assert change == {"enforce_eager": True}
    assert found.starts
    assert "--enforce-eager" in result.line(change)
    eager = llmcalc.serve(gpu="rtx3090:2", command=f"{line} --enforce-eager")
    assert eager.starts


def test_no_suggestion_contains_another_one() -> None:
    line = "vllm serve mistralai/Mistral-Small-24B-Instruct-2501 --max-model-len 16384"
    result = llmcalc.serve(gpu="l40s", command=line)
    kinds = [set(change) - {"tp", "pp"} for change, _ in result.changes]
    assert {"weights"} in kinds
    assert not any(one < other for one in kinds for other in kinds)
    assert len({result.line(change) for change, _ in result.changes}) == len(kinds)


def test_a_suggestion_has_a_flag_for_each_change() -> None:
    found = llmcalc.serve(gpu="a100-sxm-40gb", command="trtllm-serve Qwen/Qwen3-32B")
    assert not found.starts
    assert found.changes
    for change, _ in found.changes:
        assert found.line(change) != found.line()
        assert "weights" not in change  # those of a checkpoint in TensorRT-LLM


@pytest.mark.parametrize(("gpu", "starts"), [("t4", False), ("v100-sxm2-32gb", False), ("a100-sxm-40gb", True)])
def test_vllm_computes_in_bf16_only_where_the_gpu_does(gpu: str, starts: bool) -> None:
    command = "vllm serve Qwen/Qwen3-0.6B --max-model-len 4096"
    found = llmcalc.serve(gpu=gpu, command=f"{command} --dtype bfloat16")
    assert found.starts is starts
    if not starts:
        assert "does not compute in bf16" in found.reason
        assert [change for change, _ in found.changes] == [{"dtype": "fp16"}]
    assert llmcalc.serve(gpu=gpu, command=command).starts
    assert llmcalc.serve(gpu=gpu, command=f"{command} --dtype half").starts
