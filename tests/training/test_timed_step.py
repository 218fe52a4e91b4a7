"""``step_time``: its arguments, its interval, and the same step by ``train``."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc import Mesh
from llmcalc.calc.memory.pipeline import stage_memories, states_fit
from llmcalc.core.errors import InputError
from llmcalc.core.record import changed
from llmcalc.core.workload import Workload
from llmcalc.training.programs import program, programs
from llmcalc.training.run import read_run
from llmcalc.training.training_time import FASTEST, GIVEN

MESH: dict[str, Any] = {"tp": 2, "pp": 2, "dp": 4, "zero": 1}


def test_a_step_of_train_is_that_of_step_time() -> None:
    mesh = llmcalc.Mesh(**MESH)
    run = llmcalc.train("llama3-8b", "1T", seq=4096, gpu="h100:16", mesh=mesh, batch_tokens=48 * 4096, micro_batch=3,
                        recompute="full", stack="megatron-core").step_time  # fmt: skip
    assert run
    own = llmcalc.step_time("llama3-8b", "h100:16", **MESH, seq=4096, batch=48, micro_batch=3, recompute="full",
                            stack="megatron-core")  # fmt: skip
    assert (own.seconds, own.low, own.high) == (run.seconds, run.low, run.high)
    assert own.parts == run.parts
    assert own.origin == GIVEN


def test_data_parallel_ranks_are_the_rest_of_the_gpus() -> None:
    rest = {name: size for name, size in MESH.items() if name != "dp"}
    own, same = (llmcalc.step_time("llama3-8b", "h100:16", **each, batch=16) for each in (MESH, rest))
    assert own.seconds == same.seconds
    with pytest.raises(InputError, match="12, but there are 16 GPUs"):
        llmcalc.step_time("llama3-8b", "h100:16", tp=3, dp=4)


def test_a_step_without_ranks_is_on_the_fastest_layout() -> None:
    found = llmcalc.step_time("llama3-8b", "h100:8", batch=64, seq=4096)
    assert found.origin == FASTEST
    given = {name: getattr(found.step.layout.mesh, name) for name in ("tp", "pp", "dp", "zero", "sp")}
    again = llmcalc.step_time("llama3-8b", "h100:8", **given, batch=64, seq=4096, recompute=found.step.layout.recompute,
                              micro_batch=found.step.layout.micro_batch)  # fmt: skip
    assert again.seconds == pytest.approx(found.seconds)


def test_the_micro_batch_is_the_fastest_if_none_is_given() -> None:
    times = [llmcalc.step_time("gpt2", "a100-sxm-80gb:2", dp=2, batch=24, micro_batch=size, seq=512).seconds
             for size in (1, 2, 3, 4, 6, 12)]  # fmt: skip
    assert llmcalc.step_time("gpt2", "a100-sxm-80gb:2", dp=2, batch=24, seq=512).seconds == min(times)


@pytest.mark.parametrize("wrong", [
    {"batch": 7, "dp": 4, "tp": 2}, {"batch": 8, "dp": 8, "micro_batch": 3}, {"tp": 7}, {"dispatcher": "mail"},
    {"attention": "slow"}, {"precision": "int3"}, {"recompute": "some", "dp": 8},
    {"recompute": "full"}, {"micro_batch": 1}, {"ep": 2, "dp": 8},
    {"network_gbytes_per_gpu": 0},
])  # fmt: skip
def test_wrong_arguments_are_one_message(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        llmcalc.step_time("llama3-8b", "h100:8", **wrong)


def test_a_model_of_several_stacks_has_no_step() -> None:
    with pytest.raises(InputError, match="one stack"):
        llmcalc.step_time("t5-11b", "h100:8")


@pytest.mark.parametrize("gpu", ["mi300x:8", "mi355x:8", "tpu-v5p:8", "tpu-v6e:8", "b300:8", "gb200-186gb:4"])
def test_every_accelerator_with_a_peak_has_a_step(gpu: str) -> None:
    found = llmcalc.step_time("llama3-8b", gpu, zero=3, batch=64, seq=4096)
    assert 0.1 < found.mfu < 0.9
    wide = found.high / found.low
    known = llmcalc.step_time("llama3-8b", "h100:8", zero=3, batch=64, seq=4096, stack="megatron-core")
    assert wide > known.high / known.low


def test_an_unknown_program_has_the_wider_interval() -> None:
    known, other = (llmcalc.step_time("llama3-8b", "h100:8", zero=3, batch=64, seq=4096, stack=name)
                    for name in ("torchtitan", "homegrown"))  # fmt: skip
    assert other.high / other.low > known.high / known.low
    assert other.program == "any program ('homegrown' is unknown)"
    assert "any program ('megatron' is unknown; did you mean megatron-" in llmcalc.step_time(
        "llama3-8b", "h100:8", stack="megatron", zero=3).program  # fmt: skip
    assert known.program == "torchtitan"


def test_what_makes_a_step_shorter_or_longer() -> None:
    def seconds(**changes: Any) -> float:
        own = {"tp": 4, "dp": 16, "zero": 1, "batch": 64, "micro_batch": 1, "seq": 4096, **changes}
        return llmcalc.step_time("llama3-70b", "h100:64", **own).seconds

    plain = seconds()
    assert seconds(precision="fp8") < plain
    assert seconds(lora_rank=16) < plain
    assert seconds(recompute="full") > 1.2 * plain
    assert seconds(network_gbytes_per_gpu=1.0) > plain > seconds(network_gbytes_per_gpu=400.0)
    assert seconds(attention="eager") > plain
    assert seconds(stack="megatron-lm-2021") > plain  # nothing runs beside its kernels


def test_a_group_of_zero_gathers_weights_over_fewer_ranks() -> None:
    own: dict[str, Any] = {"dp": 256, "zero": 3, "batch": 256, "seq": 512, "network_gbytes_per_gpu": 6.0}
    whole, part = (llmcalc.step_time("llama3-8b", "a100-sxm-80gb:256", **own, zero_group=group) for group in (None, 8))
    assert part.seconds < whole.seconds


def test_attention_is_slower_in_older_generations_of_flash_attention() -> None:
    for family, slower in (("sm90", (2.4, 1.6, 1.0)), ("sm80", (1.5, 1.0, 1.0))):
        found = tuple(program(name).slower_attention(family) for name in ("llm-foundry", "torchtitan", "megatron-core"))
        assert found == slower


def test_programs_have_facts_and_factors() -> None:
    assert program(None) is program("") is programs()[""]
    other = program("no such program")
    assert changed(other, name="", title=programs()[""].title) == programs()[""]
    for name, each in programs().items():
        assert each.title
        assert each.name == name
        assert 0.5 < each.factor < 2
        assert all(0.5 < factor < 2 for factor in each.factors.values())


@pytest.mark.parametrize("name", ["llama3-8b", "mixtral-8x7b"])
def test_a_model_that_keeps_what_was_computed_has_the_steps_of_a_fresh_one(name: str) -> None:
    shared = llmcalc.load(name)
    experts = {"ep": 2} if name.startswith("mixtral") else {}
    layouts: list[dict[str, Any]] = [
        {"tp": 2, "micro_batch": 3}, {"tp": 2, "micro_batch": 1}, {"tp": 4, "sp": True, "micro_batch": 3},
        {"tp": 2, "pp": 2, "micro_batch": 3}, {"tp": 2, "pp": 2, "micro_batch": 1, "recompute": "selective"},
        {"tp": 2, "micro_batch": 3, "precision": "fp8"}, {"tp": 2, "micro_batch": 3, "lora_rank": 7},
        {"dp": 8, "zero": 3, "micro_batch": 3, **experts}, {"dp": 4, "cp": 2, "micro_batch": 3},
        {"tp": 2, "micro_batch": 3, "attention": "eager"},
    ]  # fmt: skip
    for layout in layouts:
        sizes: dict[str, Any] = {"seq": 211 * 2, "batch": 24, **layout}
        found = [llmcalc.step_time(model, "h100:8", **sizes).to_dict() for model in (shared, llmcalc.load(name))]
        assert found[0] == found[1], layout


@pytest.mark.parametrize("gpus", [2, 4, 8])
def test_states_fit_where_a_whole_step_does(gpus: int) -> None:
    """A layout is left out by its states alone only if its whole step has no room either."""
    run = read_run({"model": "llama3-8b", "tokens": "1B", "seq": 211, "gpu": f"h100:{gpus}"})
    recipe, policy = run.trained.worst.recipe, run.trained.worst.policy
    workload, found = Workload(seq=211, mode="train"), set()
    for mesh in (Mesh(dp=gpus), Mesh(dp=gpus, zero=1), Mesh(dp=gpus, zero=3), Mesh(tp=gpus), Mesh(pp=gpus)):
        stages = [*stage_memories(run.architecture, workload, policy, recipe, mesh)]
        least = max(stage.weights + stage.gradients + stage.optimizer for stage in stages)
        for room in (least - 1, least, max(stage.peak for stage in stages)):
            fits = states_fit(run.architecture, recipe, mesh, room)
            assert fits or not all(stage.fits(room) for stage in stages)
            found.add((fits, room >= least))
    assert found == {(True, True), (False, False)}
