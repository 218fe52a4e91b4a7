"""The most layers on one GPU, and the fewest experts in host memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.core.errors import InputError

MOE, DENSE = "qwen3-moe-30b-a3b", "qwen3-8b"
N_LAYERS, N_DENSE_LAYERS = 48, 36
GIB = 2**30


def solved(model: str, gpu: str | int, asked: str, **more: Any) -> Any:
    return llmcalc.fit(model, gpu, solve=asked, weights="q8_0", **more, engine="none")


def test_the_largest_part_fits_and_a_larger_one_does_not() -> None:
    found = solved(DENSE, "6GiB", "gpu-layers", seq=4096)
    number = found.solution.value
    assert found.fits
    assert 0 < number < N_DENSE_LAYERS + 1
    layer = (found.result.weights - found.result.host) / number
    assert found.headroom < 1.2 * layer
    least = solved(DENSE, found.needed + found.reserve, "gpu-layers", seq=4096)
    assert least.solution.value == number
    assert solved(DENSE, found.needed + found.reserve - 1, "gpu-layers", seq=4096).solution.value == number - 1


def test_parts_on_both_sides_are_the_whole() -> None:
    whole = llmcalc.memory(DENSE, weights="q8_0", seq=4096)
    found = solved(DENSE, "6GiB", "gpu-layers", seq=4096)
    result, number = found.result, found.solution.value
    assert result.weights == whole.weights
    assert result.state + result.host_state == whole.state
    assert result.state * N_DENSE_LAYERS == whole.state * (number - 1)  # one of the layers is the output
    assert found.to_dict()["host_state"] == result.host_state


def test_a_model_that_fits_keeps_nothing_but_the_input_table() -> None:
    whole = llmcalc.fit(MOE, "h100", weights="q8_0", seq=4096, engine="none")
    for asked, expected in (("gpu-layers", N_LAYERS + 1), ("cpu-experts", 0)):
        found = solved(MOE, "h100", asked, seq=4096)
        assert (found.solution.value, found.needed, found.result.host_state) == (expected, whole.needed, 0)


def test_experts_stay_on_the_host_from_the_first_layer_on() -> None:
    found = solved(MOE, "rtx4090", "cpu-experts", seq=32768)
    number = found.solution.value
    more = llmcalc.serve(MOE, "rtx4090", engine="llama.cpp", weights="q8_0", max_model_len=32768, cpu_experts=number)
    assert found.result.host == dict(more.host.parts)["weights"].best
    assert found.result.state == llmcalc.memory(MOE, seq=32768).state
    assert found.result.transient > llmcalc.memory(MOE, weights="q8_0", seq=32768).transient


def test_nothing_fits_on_a_small_gpu() -> None:
    assert solved(DENSE, "1.01GiB", "gpu-layers").solution.value is None
    assert solved(MOE, "2GiB", "cpu-experts").solution.value is None


@pytest.mark.parametrize(
    ("model", "asked", "more", "message"),
    [
        (DENSE, "cpu-experts", {}, "no routed experts"),
        (DENSE, "gpu-layers", {"tp": 2}, "omit tp$"),
        (DENSE, "gpu-layers", {"count": 2}, "use gpu=.h100-sxm.$"),
        (DENSE, "gpu-layers", {"count": 2, "tp": 2}, "use gpu=.h100-sxm. and omit tp$"),
    ],
)
def test_other_settings_are_refused(model: str, asked: str, more: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        solved(model, "h100", asked, **more)


def test_training_is_refused_by_its_cause(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"applies only to serving\n  omit mode=.training."):
        llmcalc.fit(DENSE, "h100", solve="gpu-layers", training=True, engine="none")
    (path := tmp_path / "a.yml").write_text("base_model: Qwen/Qwen3-8B\nadapter: lora\nlora_r: 7\n")
    file = llmcalc.read_training_file(path)
    with pytest.raises(InputError, match=r"a\.yml describes training"):
        llmcalc.fit(file.architecture, "h100", solve="gpu-layers", **file.options, engine="none")


@pytest.mark.parametrize("weights", ["bf16", "q8_0"])
def test_a_step_has_the_tokens_of_llama_cpp(weights: str) -> None:
    found = llmcalc.fit(DENSE, "6GiB", solve="gpu-layers", weights=weights, seq=4096, engine="none")
    assert found.result.steps.limit == 512
    given = llmcalc.fit(DENSE, "6GiB", solve="gpu-layers", weights=weights, seq=4096, step_tokens=128, engine="none")
    assert given.result.steps.limit == 128


def test_the_command_states_the_host_memory(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", MOE, "--gpu", "rtx4090", "--weights", "q8_0", "--seq", "32k", "--solve"]
    assert main([*words, "cpu-experts"]) == 0
    printed = capsys.readouterr().out
    assert " of 48 layers keep their experts on the CPU: llama-server --n-cpu-moe " in printed.splitlines()[0]
    assert "with --n-cpu-moe of llama.cpp" in " ".join(printed.split())
    assert main([*words, "gpu-layers"]) == 0
    assert " of 49 layers fit on the GPU: llama-server --n-gpu-layers " in capsys.readouterr().out.splitlines()[0]
