"""Names of GGUF files and repositories name a model and the format of its weights, in ``fit`` as in ``serve``."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

import llmcalc
from llmcalc import InputError
from llmcalc.cli.main import main
from llmcalc.core.record import changed
from llmcalc.engines.llama_cpp_weights import placed_tensors
from llmcalc.fitting.memory import serving_weights
from llmcalc.inputs.gguf_names import gguf_name, published_format
from llmcalc.inputs.number_formats import mixture_name, mixtures

NAMES = {
    "unsloth/Qwen3-30B-A3B-GGUF:Q4_K_M": ("qwen3-moe-30b-a3b", "q4_k_m"),
    "Qwen3-30B-A3B-Q4_K_M.gguf": ("qwen3-moe-30b-a3b", "q4_k_m"),
    "qwen3-8b-q8_0.gguf": ("qwen3-8b", "q8_0"),
    "bartowski/Qwen_Qwen3-8B-GGUF:IQ4_XS": ("qwen3-8b", "iq4_xs"),
    "ggml-org/gpt-oss-20b-GGUF": ("gpt-oss-20b", "mxfp4_moe"),
    "unsloth/Qwen3-8B-GGUF": ("qwen3-8b", "q4_k_m"),
    "unsloth/Qwen3-30B-A3B-GGUF:UD-Q4_K_XL": ("qwen3-moe-30b-a3b", "ud-q4_k_xl"),
    "unsloth/Qwen3-8B-GGUF:Q2_K_XL": ("qwen3-8b", "ud-q2_k_xl"),
    "unsloth/Qwen3-8B-GGUF:Q3_K_XL": ("qwen3-8b", "ud-q3_k_xl"),
    "bartowski/Qwen_Qwen3-8B-GGUF:Q3_K_XL": ("qwen3-8b", "q3_k_xl"),
    "Qwen3-8B-Q4_K_L.gguf": ("qwen3-8b", "q4_k_l"),
    "Qwen3-8B-UD-IQ3_XXS.gguf": ("qwen3-8b", "ud-iq3_xxs"),
    "Qwen3-8B.i1-Q4_K_S.gguf": ("qwen3-8b", "q4_k_s"),
    "GLM-4.5-Air-UD-Q4_K_XL-00001-of-00002.gguf": ("glm-4.5-106b-a12b", "ud-q4_k_xl"),
    "gpt-oss-120b-mxfp4-00001-of-00003.gguf": ("gpt-oss-120b", "mxfp4_moe"),
    "unsloth/gemma-3-27b-it-qat-GGUF:Q4_0": ("gemma3-27b", "q4_0"),
    "unsloth/Qwen3-32B-128K-GGUF:Q4_K_M": ("qwen3-32b", "q4_k_m"),
    "unsloth/DeepSeek-R1-0528-GGUF:TQ1_0": ("deepseek-v3-671b", "ud-tq1_0"),
    "unsloth/gpt-oss-20b-GGUF:F16": ("gpt-oss-20b", "f16"),
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
    assert ("differ by model" in note) == weights.startswith("ud-")


def test_a_release_without_a_size_in_its_name_is_found() -> None:
    found = llmcalc.serve(
        command="llama-server -hf bartowski/Mistral-Nemo-Instruct-2407-GGUF:Q5_K_M -c 8192", gpu="rtx4090"
    )
    assert (found.architecture.name, found.settings["weights"]) == ("mistral-nemo-12b", "q5_k_m")


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


def test_much_larger_files_of_a_dynamic_mixture_are_a_warning() -> None:
    small, usual = (
        llmcalc.serve(command=f"llama-server -hf unsloth/DeepSeek-R1-0528-GGUF:{kind} -c 4096 -cmoe", gpu="rtx4090")
        for kind in ("UD-IQ1_S", "UD-Q2_K_XL")
    )
    assert small.warnings == ("published files in ud-iq1_s are up to 38 % larger than is counted here",)
    assert not usual.warnings


PUBLISHED = Path(__file__).parents[2] / "docs" / "data" / "gguf_sizes.csv"
ROWS = list(csv.DictReader(PUBLISHED.read_text("utf-8").splitlines()[1:]))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['repository']}:{row['weights']}")
def test_published_files_have_the_computed_size(row: dict[str, str]) -> None:
    """Dynamic mixtures are within the range of the note, and file types of llama.cpp and bartowski are exact."""
    name = gguf_name(f"{row['repository']}:{row['weights']}")
    assert name is not None
    architecture = llmcalc.load(row["model"])
    weights = name.weights(architecture)
    deviation = int(row["bytes"]) / file_size(architecture, weights) - 1
    span = mixtures()[mixture_name(weights) or ""].get("published")
    keeps_experts = published_format(architecture, "llama.cpp")
    if weights.startswith("ud-"):
        low, high = span or (-0.08, 0.07)
        assert low <= deviation <= high or (keeps_experts and 0 <= deviation < 0.02)
    elif keeps_experts or row["model"] in ("qwen3-30b-a3b", "qwen2.5-32b", "llama3.3-70b", "qwen3-14b"):
        loose = 0.011 if weights in ("iq4_xs", "q4_0") else 0.0012
        assert abs(deviation) < loose


@pytest.mark.parametrize("weights", ["q2_k", "q4_k_m", "q8_0", "f16", "ud-q4_k_xl"])
def test_experts_that_are_published_in_mxfp4_stay_in_it(weights: str) -> None:
    stored = llmcalc.memory("gpt-oss-20b", weights=weights).stored
    assert {entry.format.name for entry in stored if entry.component == "routed experts"} >= {"gguf-mxfp4"}
    assert not {entry.format.name for entry in stored if entry.component == "routed experts"} & {
        weights,
        "q4_k",
        "gguf-f16",
    }
    fitted = llmcalc.fit("gpt-oss-20b", "rtx4090", weights=weights)
    served = llmcalc.serve("gpt-oss-20b", "rtx4090", engine="llama.cpp", weights=weights, max_model_len=1024)
    assert served.memory.weights.best + served.host.total.best == pytest.approx(fitted.result.weights, rel=0.001)


def file_size(architecture: llmcalc.Architecture, weights: str) -> int:
    formats = serving_weights(architecture, weights, "bf16", (), ())
    return sum(tensor.bytes for tensor in placed_tensors(architecture, formats))


@pytest.mark.parametrize("method", [[None], {}, 3, None])
def test_a_method_that_is_no_text_has_no_format_of_an_engine(method: object) -> None:
    model = llmcalc.load("gpt2")
    told = changed(model, inputs={**model.inputs, "quantization": {"quant_method": method}})
    assert published_format(told, "llama.cpp") is None
