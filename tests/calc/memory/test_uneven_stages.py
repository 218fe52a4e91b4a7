"""Pipeline stages of unequal sizes in training."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc.calc.memory.pipeline import one_f_one_b_in_flight
from llmcalc.calc.memory.training import training_memory
from llmcalc.calc.pipeline_stages import pipeline_stages
from llmcalc.core.architecture import Architecture
from llmcalc.core.record import forget


def sizes(n_layers: int, stages: int) -> list[int]:
    model: Architecture = llmcalc.load("gpt2-small", overrides=[f"n_layers={n_layers}"])
    return [stage.main.n_layers for stage in pipeline_stages(model, stages)]


@pytest.mark.parametrize(
    ("n_layers", "stages", "wanted"),
    [
        # grattafiori2024, Section 3.3.2: Llama 3.1 405B has a layer less on the first and on the last stage
        (126, 16, [7, *[8] * 14, 7]),
        (96, 5, [19, 20, 20, 19, 18]),  # 98 layers with the embedding and the head: 20, 20, 20, 19, 19
        (12, 4, [3, 3, 3, 3]),  # equal stages stay equal
        (6, 5, [1, 2, 2, 1, 0]),  # the last stage has the head alone
    ],
)
def test_the_embedding_and_the_head_count_as_layers(n_layers: int, stages: int, wanted: list[int]) -> None:
    assert sizes(n_layers, stages) == wanted


@pytest.mark.parametrize("stages", range(2, 13))
def test_stages_have_all_layers_and_weights(stages: int) -> None:
    mesh = llmcalc.Mesh(pp=stages)
    model = llmcalc.load("llama3.2-1b", overrides=["n_layers=13", "d_model=64"])
    found = llmcalc.memory(model, mode="training", seq=64, mesh=mesh)
    assert sum(stage.architecture.main.n_layers for stage in found.stages) == 13
    assert found.peak == max(stage.peak for stage in found.stages)
    whole = llmcalc.memory(model, mode="training", seq=64)
    tied = 64 * 128256 * 2  # the first and the last stage both store the tied table
    assert sum(stage.weights for stage in found.stages) == whole.worst.weights + tied


@pytest.mark.parametrize("recompute", ["none", "full"])
def test_equal_stages_have_the_memory_of_their_own_layers(recompute: str) -> None:
    mesh = llmcalc.Mesh(dp=2, pp=6, zero=1)
    model = llmcalc.load("llama3.2-1b", overrides=["n_layers=18", "d_model=64"])
    found = llmcalc.memory(model, mode="training", seq=64, mesh=mesh, recompute=recompute)
    for number, stage in enumerate(found.stages):
        own = stage.architecture
        assert own.first_layer == sum(each.architecture.main.n_layers for each in found.stages[:number])
        forget(own)
        in_flight = one_f_one_b_in_flight(mesh, number)
        alone = training_memory(own, stage.workload, stage.policy, stage.recipe, mesh, in_flight)
        assert alone.to_dict() == stage.to_dict()
        assert stage.fits(alone.peak)
        assert not stage.fits(alone.peak - 1)
