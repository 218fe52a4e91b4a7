"""What people type for GPUs, lengths, models and flags: each spelling is read as meant, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import llmcalc
from llmcalc.cli.commands import load
from llmcalc.cli.main import main
from llmcalc.cli.table import COMMANDS
from llmcalc.core.aliases import ENGINE_OPTIONS
from llmcalc.core.errors import InputError
from llmcalc.core.setting import LENGTHS, read_length
from llmcalc.inputs.gpus import read_gpus
from llmcalc.schema.model_names import known_name
from llmcalc.schema.preset_files import names, read_preset

# what is typed: name and count, or bytes of one GPU and count
GPUS: dict[str, tuple[str | int, int | None]] = {
    "h100": ("h100-sxm", None), "H100": ("h100-sxm", None), "h 100": ("h100-sxm", None), "h-100": ("h100-sxm", None),
    "NVIDIA H100 80GB HBM3": ("h100-sxm", None), "H100 80GB SXM": ("h100-sxm", None), "h100_sxm5": ("h100-sxm", None),
    "NVIDIA H100 PCIe": ("h100-pcie", None), "NVIDIA H100 NVL": ("h100-nvl", None), "h100-94gb": ("h100-nvl", None),
    "h100:8": ("h100-sxm", 8), "h100: 8": ("h100-sxm", 8), "h100:x8": ("h100-sxm", 8), "h100 : 8": ("h100-sxm", 8),
    "h100x8": ("h100-sxm", 8), "h100 x8": ("h100-sxm", 8), "h100 x 8": ("h100-sxm", 8), "h100X8": ("h100-sxm", 8),
    "h100*8": ("h100-sxm", 8), "h100 * 8": ("h100-sxm", 8), "h100×8": ("h100-sxm", 8), "h100 8": ("h100-sxm", 8),
    "8xH100": ("h100-sxm", 8), "8x H100": ("h100-sxm", 8), "8 x h100": ("h100-sxm", 8), "8*h100": ("h100-sxm", 8),
    "8 × h100": ("h100-sxm", 8), "8 h100": ("h100-sxm", 8), " 8 h100 ": ("h100-sxm", 8), "h100:08": ("h100-sxm", 8),
    "8 NVIDIA H100 80GB HBM3": ("h100-sxm", 8), "NVIDIA-A100-SXM4-80GB:4": ("a100-sxm-80gb", 4),
    "a100-80gb x4": ("a100-sxm-80gb", 4), "4x a100 pcie 40gb": ("a100-pcie-40gb", 4), "80 h100": ("h100-sxm", 80),
    "mi300x": ("mi300x", None), "mi300x:8": ("mi300x", 8), "mi300xx8": ("mi300x", 8), "8xmi300x": ("mi300x", 8),
    "mi300x8": ("mi300x", 8), "mi300x 8": ("mi300x", 8), "8 AMD Instinct MI300X": ("mi300x", 8),
    "4090": ("rtx-4090", None), "rtx 4090": ("rtx-4090", None), "rtx4090:2": ("rtx-4090", 2), "2 4090": ("rtx-4090", 2),
    "2x4090": ("rtx-4090", 2), "4090x2": ("rtx-4090", 2), "4090 x2": ("rtx-4090", 2), "4090 2": ("rtx-4090", 2),
    "NVIDIA GeForce RTX 3090": ("rtx-3090", None), "3090 24gb": ("rtx-3090", None), "3090 ti": ("rtx-3090-ti", None),
    "3090 ti 24gb": ("rtx-3090-ti", None), "a10": ("a10", None), "A10G:4": ("a10g", 4), "Tesla T4": ("t4", None),
    "RTX PRO 6000": ("rtx-pro-6000", None), "Tesla V100-SXM2-16GB": ("v100-sxm2-16gb", None), "l4": ("l4", None),
    "l4x4": ("l4", 4), "L40S:4": ("l40s", 4), "tpu v5p": ("tpu-v5p", None), "v5e x8": ("tpu-v5e", 8),
    "apple m4 max 64gb": ("m4-max-40c-64gb", None), "2x m2-ultra-192gb": ("m2-ultra-192gb", 2),
    "b200 180gb x8": ("b200-180gb", 8), "gh200 96gb": ("gh200-96gb", None), "24GB": (24 * 10**9, None),
    "24gb": (24 * 10**9, None), "24 GiB": (24 * 2**30, None), "79.6GiB": (85469849190, None), "24GB:2": (24 * 10**9, 2),
    "2x24GB": (24 * 10**9, 2), "24GB x 2": (24 * 10**9, 2), "2 24GB": (24 * 10**9, 2), "1TB": (10**12, None),
    "80000MB": (80 * 10**9, None),
}  # fmt: skip
REFUSED_GPUS = {
    "h100,8": "h100:8", "h100@8": "h100:8", "h100-8": "h100:8", "h100_8": "h100:8", "h100/8": "h100:8",
    "h100=8": "h100:8", "h100(8)": "h100:8", "h100[8]": "h100:8", "h100#8": "h100:8", "8-h100": "h100:8",
    "8,h100": "h100:8", "h100:1,024": "", "h1008": "did you mean", "8h100": "did you mean", "h100:": "did you mean",
    "h100:8:2": "", "h100:-8": "", "h100:8.5": "", "h100:1e3": "", "h100x": "did you mean", "h10:0": "", "h10": "",
    "h2": "", "b2": "", "h100+h200": "", "h100:8,a100:8": "", "h100 80": "ambiguous", "4090 24": "ambiguous",
    "4090 x 3090": "ambiguous", "h100-80": "h100:80", "rtx 4099": "rtx-4090", "rtx 40": "", "l40": "l40s",
    "t40": "", "4090 48gb": "", "h100 96gb": "", "tpu-v5e-8": "tpu-v5e:8",
    "m4 max 64": "m4 max:64", "h100:0": "at least 1", "0xh100": "at least 1", "x8": "", ":8": "", "24": "24GiB",
    "24G": "24GiB", "24g": "24GiB", "24Gi": "24GiB", "80 GBs": "", "-24GB": "", "": "", "gpu": "", "8": "",
    "8 gpus": "", "a100": "a100-sxm-80gb", "m1-max": "m1-max-64gb", "rtx6000": "rtx-6000-ada",
}  # fmt: skip


@pytest.mark.parametrize("typed", GPUS)
def test_gpus(typed: str) -> None:
    found = read_gpus(typed)
    name = found.accelerator.name if found.accelerator else found.memory_bytes
    assert (name, found.count) == GPUS[typed]


@pytest.mark.parametrize("typed", REFUSED_GPUS)
def test_other_spellings_of_gpus_are_refused(typed: str) -> None:
    with pytest.raises(InputError) as caught:
        read_gpus(typed)
    assert REFUSED_GPUS[typed] in str(caught.value)


LENGTH_WORDS = {
    "32768": 32768, "32_768": 32768, "32,768": 32768, "32k": 32768, "32K": 32768, "32 k": 32768, "0.5k": 512,
    "1.5k": 1536, "128k": 131072, "1M": 2**20, "1m": 2**20, "0.25M": 2**18, "1_048_576": 2**20, "1,048,576": 2**20,
    "2G": 2**31, "1_000k": 1024000,
}  # fmt: skip
REFUSED_LENGTHS = (
    "", " ", "k", "32kk", "32kb", "32KiB", "32k tokens", "32e3", "1e6", "3.5", "0.3k", "-32k", "+32k", "32-768",
    "3_2768", "32_76", "32,76", "1,2,3", "32_768,000", "0x8000", "٣٢", "32T", "32b", "1..2k", ".k", "32.k",
    "15trillion", "9" * 40,
)  # fmt: skip


@pytest.mark.parametrize("typed", LENGTH_WORDS)
def test_lengths(typed: str) -> None:
    assert read_length(typed, "seq") == LENGTH_WORDS[typed]


@pytest.mark.parametrize("typed", REFUSED_LENGTHS)
def test_other_spellings_of_lengths_are_refused(typed: str) -> None:
    with pytest.raises(InputError, match=r"^seq: invalid length"):
        read_length(typed, "seq")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_length_of_every_command_takes_a_suffix(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from llmcalc.cli.parser import read

    command = load(name)
    words = ["gpt2"] * sum(max(argument.least, 1) for argument in command.arguments)
    lengths = {flag: each for flag, each in command.options.items() if each.kind is int and each.name in LENGTHS}
    for flag, option in lengths.items():
        values = read(command, [*words, flag, "32k"])
        assert values is not None
        assert values[option.name] == 32768
        assert main([*name.split(), *words, flag, "32kb"]) == 2
        assert f"{flag}: invalid length '32kb'" in capsys.readouterr().err


def test_other_integers_take_groups_of_digits_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flops", "gpt2", "--batch", "1_024", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["inputs"]["batch"] == 1024
    assert main(["flops", "gpt2", "--batch", "1k"]) == 2
    assert "--batch: invalid value '1k'" in capsys.readouterr().err


def test_python_takes_lengths_as_text() -> None:
    model = llmcalc.load("llama3-8b")
    assert llmcalc.flops(model, seq="8k").total == llmcalc.flops(model, seq=8192).total
    assert (
        llmcalc.flops(model, mode="decode", context="8k").total
        == llmcalc.flops(model, mode="decode", context=8192).total
    )
    assert llmcalc.memory(model, seq="8k", prefill="1k", page="16").peak == (
        llmcalc.memory(model, seq=8192, prefill=1024, page=16).peak
    )
    assert llmcalc.state(model, seq="1M").bytes == llmcalc.state(model, seq=2**20).bytes
    assert (
        llmcalc.fit(model, "h100", seq="8k", page="16").needed == llmcalc.fit(model, "h100", seq=8192, page=16).needed
    )
    assert llmcalc.explain(model, "state", seq="8k").to_dict() == llmcalc.explain(model, "state", seq=8192).to_dict()
    swept = llmcalc.sweep(model, "flops.total", over={"seq": ["1k", 2048]}, batch=3).values["flops.total"]
    assert swept[1] == llmcalc.flops(model, seq=2048, batch=3).total
    assert llmcalc.train("gpt2", "1B", seq="1k").compute == llmcalc.train("gpt2", "1B", seq=1024).compute
    with pytest.raises(InputError, match=r"^seq: invalid length '8kb'"):
        llmcalc.traffic(model, seq="8kb")


MODELS = {
    "llama3.3-70b": "llama3.3-70b", "Llama 3.3 70B": "llama3.3-70b", "LLAMA-3.3-70B": "llama3.3-70b",
    "meta-llama/Llama-3.3-70B-Instruct": "llama3.3-70b", "meta-llama/Meta-Llama-3-8B-Instruct": "llama3-8b",
    "meta-llama/Llama-2-7b-chat-hf": "llama2-7b", "llama3.2:3b": "llama3.2-3b", "llama3.2:3b-instruct": "llama3.2-3b",
    "unsloth/Llama-3.2-1B": "llama3.2-1b", "https://huggingface.co/meta-llama/Llama-3.1-8B": "llama3.1-8b",
    "hf.co/Qwen/Qwen3-8B": "qwen3-8b", "Qwen/Qwen3-235B-A22B": "qwen3-moe-235b-a22b", "Qwen/Qwen3-32B": "qwen3-32b",
    "Qwen/Qwen3-235B-A22B-Instruct-2507": "qwen3-moe-235b-a22b", "Qwen/Qwen3-4B-Thinking-2507": "qwen3-4b",
    "Qwen/Qwen2.5-72B-Instruct": "qwen2.5-72b", "Qwen/QwQ-32B": "qwen2.5-32b", "qwen3:32b": "qwen3-32b",
    "google/gemma-3-27b-it": "gemma3-27b", "google/gemma-3-27b-pt": "gemma3-27b", "gemma3:27b-it": "gemma3-27b",
    "mistralai/Mistral-7B-Instruct-v0.3": "mistral-7b-v0.3", "mistralai/Mixtral-8x7B-Instruct-v0.1": "mixtral-8x7b",
    "mistralai/Mistral-Large-Instruct-2407": "mistral-large-123b", "openai/gpt-oss-120b": "gpt-oss-120b",
    "gpt-oss:20b": "gpt-oss-20b", "deepseek-ai/DeepSeek-V3": "deepseek-v3-671b",
    "deepseek-ai/DeepSeek-V3-Base": "deepseek-v3-671b", "deepseek-ai/DeepSeek-R1-Distill-Llama-70B": "llama3.3-70b",
    "moonshotai/Kimi-K2-Instruct": "kimi-k2-1t", "meta-llama/Llama-4-Scout-17B-16E-Instruct": "llama4-scout",
    "openai-community/gpt2-xl": "gpt2-xl", "google-t5/t5-base": "t5-base",
    "HuggingFaceTB/SmolLM3-3B-Base": "smollm3-3b", "EleutherAI/pythia-70m": "pythia-70m",
    "databricks/dbrx-instruct": "dbrx-132b-a36b", "microsoft/phi-4": "phi4-14b",
}  # fmt: skip
REFUSED_MODELS = (
    "llama3.3:70b-instruct-q4_K_M", "llama3.3:latest", "llama3.3:7b", "deepseek-r1:70b", "microsoft/deberta-base",
    "Geotrend/bert-base-it-cased", "Geotrend/bert-base-pt-cased", "openai/whisper-base", "meta-llama/Llama-Guard-3-8B",
    "meta-llama/Llama-3.2-11B-Vision-Instruct", "Qwen/Qwen2.5-VL-7B-Instruct", "google/gemma-2-2b-jpn-it",
    "Qwen/Qwen3-235B", "Qwen/Qwen3-235B-A22B-Instruct-9999", "gpt-313b", "llama-318b", "llama,3-8b", "llama3-8b@main",
    "llama3-8b x2", "a/b/llama3-8b", "./llama3-8b", "tests/llama3-8b", "llama3-8b/", "/llama3-8b", "llama3:8b:8b",
    "instruct", "qwen/", "llama3-8b.yaml", "foo/bar",
)  # fmt: skip


@pytest.mark.parametrize("typed", MODELS)
def test_models(typed: str) -> None:
    found = llmcalc.load(typed)
    assert found.name == MODELS[typed]
    says_so = any(note.startswith(f"{typed}: using the architecture of preset ") for note in found.notes)
    assert says_so == (typed.lower() not in names())


def test_no_two_models_have_the_same_words() -> None:
    meant = {
        name: (location.file, location.size or read_preset(location.file).get("default"))
        for name, location in names().items()
    }
    for name in meant:
        same = known_name(name, meant)
        assert same is not None
        assert meant[same] == meant[name], (name, same)


@pytest.mark.parametrize("typed", REFUSED_MODELS)
def test_other_names_of_models_are_refused(typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["params", typed]) == 2
    assert "error: " in capsys.readouterr().err


# what is typed: the same line with the names of llmcalc
LINES = {
    "memory llama3-8b --ctx 8k": "memory llama3-8b --seq 8192",
    "memory llama3-8b --ctx-size=8k": "memory llama3-8b --seq 8192",
    "memory llama3-8b --max-model-len 8192": "memory llama3-8b --seq 8192",
    "memory llama3-8b --max_model_len 8192": "memory llama3-8b --seq 8192",
    "memory llama3-8b --context-length 8192": "memory llama3-8b --seq 8192",
    "memory llama3-8b --quant q4_k_m": "memory llama3-8b --weights q4_k_m",
    "memory llama3-8b --quantization fp8": "memory llama3-8b --weights fp8",
    "memory llama3-8b --kv-cache-dtype fp8": "memory llama3-8b --cache fp8",
    "memory llama3-8b --block-size 16": "memory llama3-8b --paged 16",
    "memory llama3-8b --max-num-seqs 7": "memory llama3-8b --batch 7",
    "memory llama3-8b --max-num-batched-tokens 2k": "memory llama3-8b --step-tokens 2048",
    "memory llama3-8b --tensor-parallel-size 2": "memory llama3-8b --tp 2",
    "memory llama3-8b --tp-size 2": "memory llama3-8b --tp 2",
    "memory gpt2 --training --pipeline-parallel-size 2": "memory gpt2 --training --pp 2",
    "memory gpt2 --training --data-parallel-size 2": "memory gpt2 --training --dp 2",
    "fit llama3-8b --gpu h100 --max-model-len 8k": "fit llama3-8b --gpu h100 --seq 8192",
    "fit llama3-8b --gpu h100 --gpu-memory-utilization 0.9": "fit llama3-8b --gpu h100 --reserve 10%",
    "fit llama3-8b --gpu h100 --gpu-memory-utilization=0.95": "fit llama3-8b --gpu h100 --reserve 5%",
    "fit llama3-8b --gpu h100 --kv-cache-dtype auto --dtype auto --seq 7k": "fit llama3-8b --gpu h100 --seq 7k",
    "memory llama3-8b --dtype=half --kv-cache-dtype fp8_e4m3": "memory llama3-8b --dtype fp16 --cache fp8",
    "memory llama3-8b --dtype float32": "memory llama3-8b --dtype fp32",
    "memory llama3-8b --quantization bitsandbytes": "memory llama3-8b --weights nf4",
    "memory llama3-8b --quantization modelopt_fp4": "memory llama3-8b --weights nvfp4",
    "fit llama3-8b h100:2": "fit llama3-8b --gpu h100:2",
    "fit llama3-8b 8xh100": "fit llama3-8b --gpu h100:8",
    "fit llama3-8b x2 --gpu h100": "fit llama3-8b --gpu h100:2",
    "fit llama3-8b 4090": "fit llama3-8b --gpu rtx4090",
    "flops gpt2 --attention dense": "flops gpt2 --count dense",
    "explain gpt2 flops --pairs dense": "explain gpt2 flops --count dense",
    "sweep gpt2 flops.total --over pairs=causal,dense": "sweep gpt2 flops.total --over count=causal,dense",
    "train gpt2 --tokens 1B --attention dense": "train gpt2 --tokens 1B --count dense",
    "memory gpt2 --training --loss fused": "memory gpt2 --training --cross-entropy fused",
    "memory gpt2 --training --pp 2 --chunks 2": "memory gpt2 --training --pp 2 --virtual-stages 2",
    "train gpt2 --tokens 1B --gpu h100:8 --dp 8 --micro-batch 3": (
        "train gpt2 --tokens 1B --gpu h100:8 --dp 8 --micro-batch-size 3"
    ),
    "check gpt2 --budget 1e24 --tokens 1T": "check gpt2 --max-compute 1e24 --tokens 1T",
    "scale --compute 1e22 --experts 16": "scale --compute 1e22 --n-experts 16",
    "explain gpt2 params --select mlp": "explain gpt2 params --path mlp",
    "report gpt2 -o - --context 1k": "report gpt2 -o - --lengths 1k",
}
WITHOUT_EFFECT = (
    "params gpt2 --ctx 8k",
    "flops gpt2 --tp-size 2",
    "flops gpt2 --kv-cache-dtype fp8",
    "params gpt2 --quant fp8",
)


def screen(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(line.split()) in (0, 1)
    return capsys.readouterr().out


@pytest.mark.parametrize("line", LINES)
def test_other_names_of_options(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert screen(line, capsys) == screen(LINES[line], capsys)


@pytest.mark.parametrize("line", WITHOUT_EFFECT)
def test_options_that_a_command_does_not_have_are_refused(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    assert "no such option" in capsys.readouterr().err


@pytest.mark.parametrize("share", ["90%", "1GiB", "1.2", "0", "auto", "nan"])
def test_an_invalid_share_of_the_memory_is_refused(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "gpt2", "h100", "--gpu-memory-utilization", share]) == 2
    assert "--gpu-memory-utilization" in capsys.readouterr().err


def test_an_option_means_the_same_in_every_command() -> None:
    meanings: dict[str, dict[tuple[object, ...], str]] = {}
    for name in COMMANDS:
        for flag, option in load(name).options.items():
            choices = option.choices if flag not in ("--by", "--format", "--mode", "--engine") else ()
            meanings.setdefault(flag, {}).setdefault((option.kind, option.repeatable, choices), name)
    assert not {flag: found for flag, found in meanings.items() if len(found) > 1}
    taken = {flag for name in COMMANDS if name != "serve" for flag in load(name).options}  # serve takes them itself
    assert not taken & ENGINE_OPTIONS.keys()


def test_the_table_of_engine_options_is_complete() -> None:
    page = (Path(__file__).parents[2] / "docs" / "conventions.md").read_text("utf-8")
    rows = [line.split("|")[1:3] for line in page.partition("| option of an engine")[2].splitlines() if "`--" in line]
    listed = {other.strip(" `"): ours.strip(" `") for others, ours in rows for other in others.split(",")}
    assert listed == ENGINE_OPTIONS


def test_options_with_similar_names_are_not_confused() -> None:
    """A flag is an old name only where the command has no option of this name."""
    attention = load("memory").options["--attention"]
    assert attention.choices == ("flash", "eager")
    assert load("scale").options["--loss"].name == "loss"
    assert load("flops").options["--context"].kind is int


def test_python_takes_todays_names() -> None:
    dense = llmcalc.flops("gpt2", count="dense").total
    assert llmcalc.flops("gpt2", attention="dense").total == dense > llmcalc.flops("gpt2").total
    assert llmcalc.train("gpt2", "1B", attention="dense").compute == llmcalc.train("gpt2", "1B", count="dense").compute
    experts = llmcalc.scale(compute=1e22, experts=16).points[0].parameters
    assert experts == llmcalc.scale(compute=1e22, n_experts=16).points[0].parameters
    old = llmcalc.explain("gpt2", "flops", pairs="dense").to_dict()
    assert old == llmcalc.explain("gpt2", "flops", count="dense").to_dict()
    with pytest.raises(InputError, match=r"^attention: cannot be combined with count, its current name"):
        llmcalc.flops("gpt2", attention="dense", count="causal")
    with pytest.raises(InputError, match=r"^count: unknown count 'dence'"):
        llmcalc.flops("gpt2", count="dence")


@pytest.mark.parametrize(
    ("line", "same"),
    [("-V", "--version"), ("help", "--help"), ("help fit", "fit --help"), ("help presets show", "presets show --help"),
     ("help laws", "laws --help")],
)  # fmt: skip
def test_help_and_version(line: str, same: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert screen(line, capsys) == screen(same, capsys) != ""


def test_help_for_an_unknown_command_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "fitt"]) == 2
    assert "did you mean fit" in capsys.readouterr().err


def test_a_folder_is_named_as_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["params", "own"]) == 2
    assert "use ./own for the folder" in capsys.readouterr().err
