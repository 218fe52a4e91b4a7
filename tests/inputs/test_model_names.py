"""Names of models follow one rule, whichever door they come through, and what is no name of a model chooses none."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import llmcalc
from llmcalc import InputError
from llmcalc.cli.main import main
from llmcalc.data import table
from llmcalc.engines.profile import version_number
from llmcalc.importers.engine_commands import read_command
from llmcalc.inputs.gguf_names import FILE_FORMAT
from llmcalc.inputs.gpus import read_gpus
from llmcalc.inputs.number_formats import plain
from llmcalc.inputs.repository_names import find_model
from llmcalc.schema.model_names import known_name, names_beginning
from llmcalc.schema.preset_files import names

FILE = Path(__file__).parent / "repositories.csv"  # names of repositories that public files quote
with FILE.open(encoding="utf-8", newline="") as stream:
    next(stream)
    REPOSITORIES = list(csv.DictReader(stream))
BEGINNINGS = {
    "qwen3-235b": "qwen3-moe-235b-a22b", "Qwen3 235B": "qwen3-moe-235b-a22b", "qwen3:235b": "qwen3-moe-235b-a22b",
    "qwen3-235": "qwen3-moe-235b-a22b", "gpt-oss-120": "gpt-oss-120b", "mixtral-8x22": "mixtral-8x22b",
    "nemotron-3-ultra-550b": "nemotron-3-ultra-550b-a55b", "bloom-7b": "bloom-7b1",
    "gpt": "gpt1-117m", "llama3": "llama3-8b",  # aliases keep their meaning
}  # fmt: skip
AMBIGUOUS = {"gemma2-2": ("gemma2-2b", "gemma2-27b"), "bloom-1b": ("bloom-1b1", "bloom-1b7")}
NO_BEGINNINGS = ("qwen3-23", "qwen1.5", "openai", "llama", "seed", "Qwen/Qwen3-235B", "gpt-oss-12")


@pytest.mark.parametrize("row", REPOSITORIES, ids=lambda row: row["repository"])
def test_a_repository_is_its_model_in_its_format_or_unknown(row: dict[str, str]) -> None:
    name, model, weights = row["repository"], row["model"], row["weights"]
    found = find_model(name)
    if not model:
        assert found is None
        with pytest.raises(InputError, match="file not found"):
            llmcalc.load(name)
        return
    assert found
    loaded = llmcalc.load(name)
    assert loaded.name == llmcalc.load(found.preset).name == model
    method = loaded.inputs.get("quantization") or {}
    stated = f"mlx-{method['bits']}bit" if weights.startswith("mlx") else loaded.inputs.get(FILE_FORMAT, "")
    assert stated == weights
    assert not weights or f"with weights in {weights}" in loaded.notes[0]
    command = read_command(f"vllm serve {name}")
    assert llmcalc.serve(command=command.words, gpu="b300:64").architecture.name == model


def test_the_repositories_of_printed_commands_are_names() -> None:
    for preset, repository in table("repositories").items():
        assert llmcalc.load(repository).name == llmcalc.load(preset).name


def test_a_name_that_states_a_format_may_lack_the_organisation() -> None:
    assert llmcalc.load("Qwen3-8B-AWQ").inputs[FILE_FORMAT] == "awq-int4-g128"
    assert llmcalc.load("qwen3-235b-fp8").name == "qwen3-moe-235b-a22b"


def test_repositories_of_mlx_have_quantised_embeddings() -> None:
    assert llmcalc.memory("mlx-community/Qwen3-8B-4bit", seq=8).weights == pytest.approx(4.61e9, rel=1e-3)  # its files


@pytest.mark.parametrize("name", BEGINNINGS)
def test_the_beginning_of_one_model(name: str) -> None:
    assert llmcalc.load(name).name == BEGINNINGS[name]


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_the_beginning_of_several_models_is_one_error(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["params", name]) == 2
    assert capsys.readouterr().err == f"error: '{name}' is ambiguous\n  use one of {', '.join(AMBIGUOUS[name])}\n"


@pytest.mark.parametrize("name", [name for name in NO_BEGINNINGS if name not in names()])
def test_no_beginning(name: str) -> None:
    with pytest.raises(InputError):
        llmcalc.load(name)


def test_no_beginning_is_another_model() -> None:
    known = names()
    for name in known:
        for end in range(3, len(name)):
            if (found := names_beginning(name[:end], known)) and not known_name(name[:end], known):
                assert name in found or all(plain(each).startswith(plain(name[:end])) for each in found), name[:end]


@pytest.mark.parametrize(
    ("name", "gpu"), [("a100-80", "a100-sxm-80gb"), ("8xa100-80", "a100-sxm-80gb"), ("m4-max-128", "m4-max-40c-128gb")]
)
def test_a_gpu_may_lack_the_unit_of_its_memory(name: str, gpu: str) -> None:
    found = read_gpus(name).accelerator
    assert found
    assert found.name == gpu


@pytest.mark.parametrize("name", ["l40", "h10", "a100-8", "a100 80", "h100-80", "v100-16"])
def test_other_beginnings_of_gpus_are_refused(name: str) -> None:
    with pytest.raises(InputError):
        read_gpus(name)


IMAGES = {
    "vllm/vllm-openai:v0.11.0 --model Qwen/Qwen3-8B": "0.11.0",
    "docker.io/vllm/vllm-openai:v0.8.5.post1@sha256:abc --model Qwen/Qwen3-8B": "0.8.5.post1",
    "lmsysorg/sglang:v0.5.3-cu126 python3 -m sglang.launch_server --model-path Qwen/Qwen3-8B": "0.5.3",
    "rocm/vllm:rocm7.0.0_vllm_0.11.2_20251210 vllm serve Qwen/Qwen3-8B": "0.11.2",
    "nvcr.io/nvidia/tensorrt-llm/release:1.2.0rc6.post3 trtllm-serve Qwen/Qwen3-8B": "1.2.0rc6.post3",
    "ghcr.io/ggml-org/llama.cpp:server-cuda-b6124 -hf unsloth/Qwen3-8B-GGUF": "b6124",
    "vllm/vllm-openai:latest --model Qwen/Qwen3-8B": "", "rocm/vllm:rocm7.0_vllm_next vllm serve Qwen/Qwen3-8B": "",
}  # fmt: skip


@pytest.mark.parametrize("line", IMAGES)
def test_the_tag_of_an_image_states_the_version_of_the_engine(line: str) -> None:
    command, version = f"docker run --gpus all {line}", IMAGES[line]
    assert read_command(command).version == version
    if not version:
        return
    assert version_number(version)
    assert llmcalc.serve(command=command, gpu="h100").engine_title.endswith(version)
    timed = llmcalc.serve(command=command, gpu="h100", isl=1000, osl=10)
    assert timed.service.given["engine_version"] == version


def test_a_version_that_contradicts_the_image_is_an_error() -> None:
    command = "docker run vllm/vllm-openai:v0.11.0 --model Qwen/Qwen3-8B"
    for more in ({}, {"isl": 1000, "osl": 10}):
        with pytest.raises(InputError, match=r"the image has version 0\.11\.0, not 0\.12"):
            llmcalc.serve(command=command, gpu="h100", engine_version="0.12", **more)
