"""Longest contexts of QLoRA, modules with adapters, and what the allocator holds."""

import csv
from pathlib import Path

import pytest

import llmcalc
from llmcalc.cli.main import main

DATA = Path(__file__).parents[2] / "docs" / "data" / "finetuning_contexts.csv"
QLORA = {"mode": "training", "lora_rank": 32, "weights": "nf4-double", "optimizer": "adam-8bit", "recompute": "full"}


def published():
    with DATA.open(encoding="utf-8") as file:
        next(file)
        return [(row["model"], row["gpu_gb"], row["context"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize(("model", "size", "context"), published())
def test_longest_contexts_are_near_published_ones(model, size, context):
    found = llmcalc.fit(model, f"{size}GiB", solve="seq", loss="shifted", **QLORA).solution.value or 0
    if context == "oom":
        assert found < 512
    else:
        assert found == pytest.approx(int(context), rel=0.06)


@pytest.mark.parametrize(
    ("names", "matrices"),
    [
        (["q_proj", "down_proj"], ("wd", "wq")),
        (["model.layers.*.o_proj"], ("wo",)),
        (["wk", "gate_proj"], ("wg", "wk")),
        (["all-linear"], ("wd", "wg", "wk", "wo", "wq", "wu", "wv")),
        (None, ("wd", "wg", "wk", "wo", "wq", "wu", "wv")),
    ],
)
def test_adapters_have_names_of_transformers(names, matrices):
    found = llmcalc.memory("llama3-8b", mode="training", lora_rank=7, lora_targets=names)
    assert found.worst.recipe.adapters.targets == matrices


def test_unknown_modules_are_errors_with_the_known_ones():
    with pytest.raises(llmcalc.UnknownNameError, match="x_proj") as caught:
        llmcalc.memory("llama3-8b", mode="training", lora_rank=7, lora_targets=["x_proj"])
    assert "gate_proj" in caught.value.hint


def test_the_allocator_holds_an_eighth_of_what_comes_and_goes():
    found = llmcalc.fit("llama3-8b", "80GiB", seq=509, **QLORA)
    result = found.result
    assert found.needed - result.peak == (result.peak - result.weights - result.optimizer) // 8
    assert (
        llmcalc.fit("llama3-8b", "80GiB", seq=509, mode="training").needed
        == llmcalc.memory("llama3-8b", mode="training", seq=509).peak
    )


def test_the_screen_states_the_assumed_matrices(capsys):
    line = "fit llama3-8b 80GiB --training --lora-rank 7 --weights nf4 --recompute full"
    assert main(line.split()) == 0
    out = capsys.readouterr().out
    assert "--lora-target all-linear" in out
    assert "allocator" in out
