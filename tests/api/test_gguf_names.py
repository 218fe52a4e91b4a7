"""Names of GGUF files and repositories name a model and the format of its weights, in ``fit`` as in ``serve``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import llmcalc
from llmcalc import InputError
from llmcalc.cli.main import main

NAMES = {
    "unsloth/Qwen3-30B-A3B-GGUF:Q4_K_M": ("qwen3-moe-30b-a3b", "q4_k_m"),
    "Qwen3-30B-A3B-Q4_K_M.gguf": ("qwen3-moe-30b-a3b", "q4_k_m"),
    "qwen3-8b-q8_0.gguf": ("qwen3-8b", "q8_0"),
    "bartowski/Qwen_Qwen3-8B-GGUF:IQ4_XS": ("qwen3-8b", "iq4_xs"),
    "ggml-org/gpt-oss-20b-GGUF": ("gpt-oss-20b", "mxfp4_moe"),
    "unsloth/Qwen3-8B-GGUF": ("qwen3-8b", "q4_k_m"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_model_with_a_weight_format(name: str) -> None:
    model, weights = NAMES[name]
    found, stated = llmcalc.fit(name, "rtx4090"), llmcalc.fit(model, "rtx4090", weights=weights)
    assert found.needed == stated.needed
    assert llmcalc.params(name).total == llmcalc.params(model).total
    ours, theirs = llmcalc.latency(name, "rtx4090"), llmcalc.latency(model, "rtx4090", weights=weights)
    assert ours.seconds == pytest.approx(theirs.seconds, rel=1e-3)  # routers are in fp32 in the file
    served = llmcalc.serve(command=f"llama-server -hf {name}", gpu="h100")
    assert served.settings["weights"] == weights
    assert llmcalc.serve(name, "h100", engine="llama.cpp").memory.weights == served.memory.weights
    note = " ".join(found.architecture.notes)
    assert f"{name}: using the architecture of preset" in note
    assert ("are assumed" in note) == (name.endswith("GGUF"))


def test_a_given_format_overrides_that_of_the_name() -> None:
    found = llmcalc.fit("qwen3-8b-q8_0.gguf", "rtx4090", weights="q4_k_m")
    assert found.needed == llmcalc.fit("qwen3-8b", "rtx4090", weights="q4_k_m").needed


@pytest.mark.parametrize("name", ["nosuch-7b-q4_0.gguf", "./models/Qwen3-8B-Q4_K_M.gguf", "a/b/Qwen3-8B-Q4_K_M.gguf"])
def test_unknown_models_and_missing_files_in_folders_are_errors(name: str) -> None:
    with pytest.raises(InputError, match="file not found"):
        llmcalc.load(name)


def test_a_file_that_is_missing_in_an_existing_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        with pytest.raises(InputError, match="file not found"):
            llmcalc.load("models/Qwen3-8B-Q4_K_M.gguf")
    finally:
        os.chdir(before)


def test_a_screen_states_the_preset_and_the_format(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "unsloth/Qwen3-30B-A3B-GGUF:Q4_K_M", "--gpu", "m4-max-64gb"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "using the architecture of preset qwen3-30b-a3b, with weights in q4_k_m" in shown
