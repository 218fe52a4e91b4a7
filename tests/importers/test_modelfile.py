"""Modelfiles of Ollama give the prediction of the command line of llama-server, and unknown names are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import llmcalc
from llmcalc import InputError
from llmcalc.cli.main import main
from llmcalc.importers.modelfile import is_modelfile, read_modelfile, usual_context

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str, name: str = "Modelfile") -> str:
        (tmp_path / name).write_text(text, "utf-8")
        return str(tmp_path / name)

    return written


CASES = {
    "mario": (
        'FROM llama3.2\n# warm\nPARAMETER temperature 1\nPARAMETER num_ctx 5003\nPARAMETER stop "<|eot_id|>"\n'
        'TEMPLATE """{{ .System }}\nFROM somewhere\n{{ .Prompt }}"""\nSYSTEM You are Mario.\nMESSAGE user Hi\n',
        "llama-server -m llama3.2-3b-q4_K_M.gguf --ctx-size 5003 --ubatch-size 512",
    ),
    "tag": (
        "from llama3.1:8b-instruct-q8_0\nparameter num_gpu 19\nparameter num_batch 257\n",
        "llama-server -m llama3.1-8b-q8_0.gguf --ctx-size 32768 --ubatch-size 257 --n-gpu-layers 19",
    ),
    "Hub": (
        'FROM hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q6_K\nPARAMETER num_gpu -1\nSYSTEM """\nBe brief.\n"""\n',
        "llama-server -m bartowski/Llama-3.2-3B-Instruct-GGUF:Q6_K --ctx-size 32768 --ubatch-size 512",
    ),
    "16-bit": (
        "FROM qwen3:0.6b-fp16\nPARAMETER num_ctx 1009\nREQUIRES 0.12\nLICENSE MIT\n",
        "llama-server -m qwen3-0.6b-f16.gguf --ctx-size 1009 --ubatch-size 512",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_modelfile_is_a_command_line(case: str, write: Write) -> None:
    text, command = CASES[case]
    ours, theirs = llmcalc.serve(write(text), "rtx4090"), llmcalc.serve(command=command, gpu="rtx4090")
    assert ours.settings == theirs.settings
    assert ours.memory == theirs.memory
    assert ours.notes[0].startswith("Modelfile: FROM ")


@pytest.mark.parametrize(
    ("tag", "weights"), [("gpt-oss:20b", "mxfp4_moe"), ("gpt-oss:20b-q8_0", "q8_0"), ("qwen3:8b", "q4_k_m")]
)
def test_a_tag_without_a_format_has_that_of_the_published_checkpoint(tag: str, weights: str, write: Write) -> None:
    results = llmcalc.serve(write(f"FROM {tag}\n"), "h100"), llmcalc.serve(command=f"ollama run {tag}", gpu="h100")
    assert [result.settings["weights"] for result in results] == [weights, weights]


def test_options_override_the_file(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("FROM llama3.2:1b\nPARAMETER num_ctx 5003\nADAPTER ./lora.gguf\n")
    assert llmcalc.serve(path, "rtx4090", max_model_len="8k").settings["max_model_len"] == 8192
    assert main(["serve", path, "--gpu", "rtx4090", "--max-num-seqs", "3", "--all"]) == 0
    out = capsys.readouterr().out
    assert "max model len 5003 · max num seqs 3" in out
    assert "the effect of --lora on the memory is not computed" in out
    with pytest.raises(InputError, match=r"which llama\.cpp runs"):
        llmcalc.serve(path, "rtx4090", engine="vllm")
    with pytest.raises(InputError, match="cannot be combined with a Modelfile"):
        llmcalc.serve(path, "rtx4090", weights="q8_0")


def test_changes_are_parameters_of_the_file(write: Write) -> None:
    result = llmcalc.serve(write("FROM qwen3:32b\nPARAMETER num_ctx 32768\n"), "rtx4090")
    (shorter, _), (smaller, _) = result.changes
    assert result.line(shorter) == f"PARAMETER num_ctx {shorter['max_model_len']}"
    assert result.line(smaller).endswith(" and OLLAMA_KV_CACHE_TYPE=q8_0 ollama serve")


@pytest.mark.parametrize(
    ("tag", "message", "hint"),
    [
        ("qwen3:31b", "no preset has the architecture of qwen3:31b", "did you mean qwen3-32b"),
        ("zzzz:9b", "no preset has the architecture of zzzz:9b", "use the path of its config.json"),
    ],
)
def test_an_unknown_tag_names_presets(tag: str, message: str, hint: str) -> None:
    with pytest.raises(InputError, match=message) as found:
        llmcalc.serve(command=f"ollama run {tag}", gpu="rtx4090")
    assert found.value.hint.startswith(hint)
    assert "hf:" not in found.value.hint


@pytest.mark.parametrize(
    ("tag", "preset", "weights"),
    [("deepseek-r1:32b", "qwen2.5-32b", "q4_k_m"), ("deepseek-r1:8b-llama-distill-q8_0", "", ""),
     ("qwen3:30b", "qwen3-moe-30b-a3b", "q4_k_m"), ("qwen3-coder", "qwen3-moe-30b-a3b", "q4_k_m"),
     ("gemma3:27b-it-qat", "gemma3-27b", "q4_0")],
)  # fmt: skip
def test_tags_of_the_library_have_the_architecture_of_a_preset(tag: str, preset: str, weights: str) -> None:
    if not preset:
        with pytest.raises(InputError, match="no preset has the architecture"):
            llmcalc.serve(command=f"ollama run {tag}", gpu="rtx4090")
        return
    found = llmcalc.serve(command=f"ollama run {tag}", gpu="rtx4090")
    assert (found.architecture.name, found.settings["weights"]) == (preset, weights)


@pytest.mark.parametrize("model", ["qwen3:8b", "qwen3", "mistral", "mistral:7b-instruct-q8_0"])
def test_a_version_that_the_tag_does_not_name_is_noted(model: str) -> None:
    result = llmcalc.serve(command=f"ollama run {model}", gpu="rtx4090")
    name = {"q": "qwen3-8b", "m": "mistral-7b-v0.3"}[model[0]]
    assert result.architecture.name == name
    assert (f"{model} is read as {name}" in result.notes) == (model != "qwen3:8b")


def test_the_context_depends_on_the_memory() -> None:
    gib = 2**30
    assert [usual_context(size * gib, 10**6) for size in (22, 23, 46, 47)] == [4096, 32768, 32768, 262144]
    assert usual_context(80 * gib, 40_961) == 40_961


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM llama3.2:1b\nPARAMETER num_ctxs 7", "Modelfile:2: unknown Modelfile parameter 'num_ctxs'"),
        ("FROM llama3.2:1b\nADAPTOR x", "unknown Modelfile instruction 'adaptor'"),
        ('FROM llama3.2:1b\nSYSTEM """never closed', "the triple quotes are not closed"),
        ("FROM llama3.2:1b\nPARAMETER num_ctx many", "invalid number 'many'"),
        ("FROM no-such-model:7b", "no preset has the architecture"),
        ("FROM llama3.2:1b\n=====", "invalid instruction"),
        ("FROM .", "is a folder, which Ollama converts"),
        ("FROM llama3.2:1b\n" * 3000, "more than 2,000 lines"),
    ],
)
def test_a_wrong_modelfile_is_one_error(text: str, message: str, write: Write) -> None:
    with pytest.raises(InputError, match=message):
        llmcalc.serve(write(text), "rtx4090")


def test_other_files_are_not_modelfiles(write: Write) -> None:
    assert is_modelfile(write("FROM llama3.2"))
    assert not is_modelfile(write("FROM llama3.2", "config.json"))
    assert not is_modelfile(write("PARAMETER num_ctx 7"))
    assert not is_modelfile("gpt2")
    with pytest.raises(InputError, match="names no model"):
        read_modelfile(write("PARAMETER num_ctx 7"))
