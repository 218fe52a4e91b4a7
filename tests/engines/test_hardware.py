"""Searches suggest only weight formats that an engine reads on an accelerator, and numbers that an engine connects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.core.errors import InputError
from llmcalc.engines.hardware import default_engine, engines_on, has_reader, is_reachable, supports
from llmcalc.inputs.gpus import accelerators

MAC, TPU, H100, SPARK = "m4-max-40c-64gb", "tpu-v5e", "h100-sxm", "dgx-spark"


def test_an_engine_runs_on_every_accelerator() -> None:
    assert [name for name, card in accelerators().items() if not [*engines_on(card)]] == []


@pytest.mark.parametrize(
    ("gpu", "read", "unread"),
    [
        (MAC, ["bf16", "fp16", "q4_k_m", "q8_0", "mxfp4_moe", "IQ2_XXS"], ["fp8", "awq", "nvfp4", "mxfp4"]),
        (TPU, ["bf16", "fp8", "int8"], ["q4_k_m", "q6_k", "gguf-mxfp4"]),
        (H100, ["bf16", "fp8", "q4_k_m", "nvfp4", "awq"], []),
    ],
)
def test_engines_read_the_formats_of_their_files(gpu: str, read: list[str], unread: list[str]) -> None:
    card = accelerators()[gpu]
    assert [name for name in (*read, *unread) if has_reader(card, name)] == read


def test_searches_suggest_formats_that_the_hardware_computes_with() -> None:
    assert has_reader(accelerators()[H100], "nvfp4")
    assert not supports(accelerators()[H100], "nvfp4")
    assert supports(None, "nvfp4")
    assert supports(None, "q4_k_m")


def test_models_on_a_mac_have_formats_of_llama_cpp() -> None:
    for count, name in ((1, MAC), (1, "m2-ultra-192gb")):
        found = llmcalc.find_models(name, count=count).models
        assert {one.format for one in found} <= {
            "bf16",
            "q8_0",
            "q6_k",
            "q5_k_m",
            "q4_k_m",
            "q3_k_m",
            "q2_k",
            "mxfp4_moe",
        }
        assert {"bf16", "q8_0", "mxfp4_moe"} <= {one.format for one in found}
    ours = llmcalc.fit("kimi-linear-48b-a3b", MAC, solve="quant", engine="none").solution
    assert ours is not None
    assert all(has_reader(accelerators()[MAC], one.name) for one in ours.candidates)
    assert ours.value == "q6_k"


def test_a_checkpoint_that_no_engine_reads_is_quantised_anew() -> None:
    """DeepSeek-V3 is published in fp8, which llama.cpp does not read, so that q8_0 with more bits is a candidate."""
    solution = llmcalc.fit("deepseek-v3", "m3-ultra-512gb", solve="quant", engine="none").solution
    assert solution is not None
    names = [one.name for one in solution.candidates]
    assert names[:2] == ["bf16", "q8_0"]
    assert "checkpoint" not in names
    solution = llmcalc.fit("deepseek-v3", "h200:8", solve="quant", engine="none").solution
    assert solution is not None
    assert solution.candidates[0].name == "checkpoint"


def test_several_macs_are_not_suggested() -> None:
    assert not is_reachable(accelerators()[MAC], 2)
    assert is_reachable(accelerators()[SPARK], 4)
    assert is_reachable(accelerators()["strix-halo-64gb"], 2)
    changes = llmcalc.fit("llama3.3-70b", MAC, engine="none").changes
    assert [change.settings for change in changes] == [{"weights": "q5_k_m"}]
    found = llmcalc.fit("llama3.3-70b", MAC, solve="gpus", engine="none").solution
    assert found is not None
    assert found.value is None


def test_gpus_on_which_no_engine_reads_the_weights_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    whole, found = llmcalc.find_gpus("qwen3-4b"), llmcalc.find_gpus("qwen3-4b", weights="q4_k_m")
    assert whole.unread == ()
    assert {one.vendor for one in found.unread} == {"Google", "AWS", "Intel"}
    assert not {one.accelerator.name for one in found.gpus} & {one.name for one in found.unread}
    unread = {(one.vendor, one.generation) for one in llmcalc.find_gpus("deepseek-v3").unread}
    old = {("NVIDIA", "Volta"), ("AMD", "CDNA 2")}  # no fp8 in an engine
    assert unread == {("Apple", "Apple silicon"), *old}
    assert llmcalc.find_gpus("gpt-oss-20b").unread == ()
    assert main(["fit", "qwen3-4b", "--gpu", "all", "--weights", "q4_k_m"]) == 0
    note = "not counted: AWS, Google, Intel, where no engine reads weights in q4_k_m"
    assert note in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("model", "options", "warning"),
    [
        (
            "llama3-8b",
            ["--weights", "fp8", "--gpu", MAC],
            "no supported engine on Apple M4 Max (40 cores) 64GB reads weights in fp8",
        ),
        ("llama3-8b", ["--weights", "q4_k_m", "--gpu", TPU], "reads weights in q4_k or q6_k"),
        ("gpt-oss-20b", ["--gpu", MAC], ""),  # converted without a loss
        ("llama3-8b", ["--gpu", TPU, "--weights", "fp8"], ""),
    ],
)
def test_a_fit_warns_of_weights_that_no_engine_reads(
    model: str, options: list[str], warning: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["fit", model, *options])
    out = " ".join(capsys.readouterr().out.split())
    assert ("no supported engine on" in out) == bool(warning)
    assert warning in out


def test_the_usable_memory_of_a_size_has_its_own_source() -> None:
    small, large = (accelerators()[f"m4-max-40c-{size}gb"].usable_text for size in (64, 128))
    assert "ds4" in large
    assert "ds4" not in small


@pytest.mark.parametrize(
    ("model", "gpu", "weights", "engine"),
    [
        ("llama3.1-8b", MAC, None, "llama.cpp"),
        ("llama3.1-8b", MAC, "fp8", "llama.cpp"),
        ("llama3.1-8b", H100, None, "vllm"),
        ("llama3.1-8b", H100, "q4_k_m", "llama.cpp"),
        ("llama3.1-8b", SPARK, None, "vllm"),
        ("llama3.1-8b", "strix-halo-128gb", None, "llama.cpp"),
        ("llama3.1-8b", "strix-halo-128gb", "fp8", "vllm"),
        ("gpt-oss-20b", "rx-7900-xtx", None, "llama.cpp"),
        ("deepseek-v3", "strix-halo-128gb", None, "vllm"),
        ("llama3.1-8b", "mi300x", None, "vllm"),
        ("llama3.1-8b", TPU, "q4_k_m", "vllm"),
    ],
)
def test_all_commands_have_one_default_engine(model: str, gpu: str, weights: str | None, engine: str) -> None:
    found = default_engine(llmcalc.load(model), accelerators()[gpu], weights)
    assert found.name == engine
    assert bool(found.notes) == (engine != "vllm")
    memory = llmcalc.serve(model, gpu, weights=weights, max_model_len=4099)
    times = llmcalc.serve(model, gpu, weights=weights, isl=1009, osl=101)
    step = llmcalc.latency(model, gpu, weights=weights)
    assert memory.profile.title.lower() == times.engine == step.model.engine.name == engine
    for notes in (memory.notes, times.notes, step.notes):
        assert bool([one for one in notes if "is assumed, " in one]) == (engine != "vllm")
    if engine != "vllm":
        asked = llmcalc.latency(model, gpu, weights=weights, engine=engine)
        assert asked.seconds == step.seconds
        assert not asked.notes


def test_the_engine_of_unknown_gpus_follows_from_the_weights() -> None:
    architecture = llmcalc.load("llama3.1-8b")
    assert [default_engine(architecture, None, name).name for name in (None, "q4_k_m")] == ["vllm", "llama.cpp"]


def test_a_search_states_the_assumed_engine(capsys: pytest.CaptureFixture[str]) -> None:
    words = f"serve llama3.1-8b --gpu {MAC} --isl 1009 --osl 101 --sla ttft=30s,tpot=500ms"
    assert main(words.split()) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "note: llama.cpp is assumed, the only known engine for Apple GPUs: --engine sets another" in out


def test_times_of_a_checkpoint_are_those_of_its_files() -> None:
    both = [
        one(
            "gpt-oss-20b",
            "strix-halo-128gb",
            weights=name,
            **sizes,
        )
        for one, sizes in ((llmcalc.latency, {"context": 1061}), (llmcalc.serve, {"isl": 1009, "osl": 103}))
        for name in (None, "mxfp4_moe")
    ]
    assert both[0].seconds == both[1].seconds
    assert both[2].tpot_s == both[3].tpot_s


@pytest.mark.parametrize(("gpu", "command"), [
    ("m4-max-128gb", "vllm serve Qwen/Qwen3-8B"),
    ("m4-max-128gb", "sglang serve --model-path Qwen/Qwen3-8B"),
    ("mi300x", "trtllm-serve Qwen/Qwen3-8B"),
])  # fmt: skip
def test_an_engine_is_refused_where_it_does_not_run(gpu: str, command: str) -> None:
    for own in ({}, {"isl": 1009, "osl": 101}):
        with pytest.raises(InputError, match="does not run on"):
            llmcalc.serve(gpu=gpu, command=command, **own)
    engine = {"vllm": "vllm", "sglang": "sglang", "trtllm-serve": "tensorrt-llm"}[command.split()[0]]
    with pytest.raises(InputError, match="does not run on"):
        llmcalc.serve("qwen3-8b", gpu, engine=engine)
    with pytest.raises(InputError, match="does not run on"):
        llmcalc.latency("qwen3-8b", gpu, engine=engine)


@pytest.mark.parametrize(
    ("command", "gpu", "needs"),
    [
        ("vllm serve Qwen/Qwen3-14B-AWQ --max-model-len 8192", "v100-sxm-32gb", "compute capability 7.5"),
        ("vllm serve Qwen/Qwen3-8B --quantization fp8", "v100-sxm-32gb", "compute capability 7.5"),
        ("vllm serve Qwen/Qwen3-8B --quantization fp8", "mi250x", "fp8 in hardware"),
        ("python -m sglang.launch_server --model-path Qwen/Qwen3-8B-FP8", "t4", "compute capability 8.0"),
        ("trtllm-serve nvidia/Llama-3.1-8B-Instruct-FP8", "a100-sxm-80gb", "Ada or newer"),
        ("trtllm-serve Qwen/Qwen3-8B-FP8", "l40s", "Hopper or newer"),
    ],
)
def test_an_engine_refuses_formats_below_its_minimum(command: str, gpu: str, needs: str) -> None:
    result = llmcalc.serve(command=command, gpu=gpu)
    assert result.verdict != "starts"
    assert result.refusals[0].endswith(f"(it needs {needs})")


@pytest.mark.parametrize(
    ("command", "gpu"),
    [
        ("vllm serve Qwen/Qwen3-14B-AWQ --max-model-len 8192", "t4:2 --tp 2"),
        ("vllm serve Qwen/Qwen3-8B --quantization fp8 --max-model-len 8192", "rtx3090"),
        ("vllm serve Qwen/Qwen3-8B --dtype float16 --max-model-len 8192", "v100-sxm-32gb"),
        ("vllm serve Qwen/Qwen3-8B-GPTQ --dtype float16 --max-model-len 8192", "v100-sxm-32gb"),
        ("trtllm-serve nvidia/Llama-3.1-8B-Instruct-FP8", "l40s"),
    ],
)
def test_an_engine_computes_with_formats_from_its_minimum_on(command: str, gpu: str) -> None:
    name, _, flags = gpu.partition(" ")
    result = llmcalc.serve(command=f"{command} {flags.replace('--tp', '--tensor-parallel-size')}", gpu=name)
    assert not any("does not compute" in text for text in result.refusals)


@pytest.mark.parametrize("weights", ["awq", "fp8", "nvfp4"])
def test_a_refused_format_has_no_speed(weights: str) -> None:
    with pytest.raises(InputError, match="does not compute") as caught:
        llmcalc.serve("qwen3-14b", "v100-sxm2-32gb", isl=100, osl=20, weights=weights)
    assert caught.value.parameter == "weights"
    with pytest.raises(InputError, match="does not compute"):
        llmcalc.latency("qwen3-14b", "v100-sxm2-32gb", weights=weights)


def test_the_config_of_a_quantised_checkpoint_is_refused(tmp_path: Path) -> None:
    config = {
        "model_type": "llama", "hidden_size": 512, "num_hidden_layers": 2, "num_attention_heads": 8,
        "intermediate_size": 1024, "vocab_size": 32000, "max_position_embeddings": 4096,
        "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm"},
    }  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    assert "does not compute with awq" in llmcalc.serve(str(path), "v100-sxm2-32gb").refusals[0]
    assert llmcalc.serve(str(path), "t4").verdict == "starts"


def test_an_engine_does_not_run_on_older_generations() -> None:
    with pytest.raises(InputError, match="TensorRT-LLM does not run on NVIDIA T4"):
        llmcalc.serve("qwen3-8b", "t4", engine="tensorrt-llm")


def test_a_die_of_a_card_with_two_is_one_gpu() -> None:
    fits = {count: llmcalc.fit("mixtral-8x7b", f"mi250x:{count}", engine="none").fits for count in (1, 2)}
    assert fits == {1: False, 2: True}
    one, both = (llmcalc.serve("llama3.1-8b", f"mi250x:{tp}", isl=100, osl=9, tp=tp).time.tpot_s for tp in (1, 2))
    assert one > 2 * 8.03e9 / 1638.4e9  # the bandwidth of a die
    assert one > 1.3 * both
    card = accelerators()["mi250x"]
    assert (card.node, card.joined, card.link[1]) == (8, 2, 400e9)
