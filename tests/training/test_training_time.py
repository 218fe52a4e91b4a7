"""Which estimate ``train`` gives: the operations of a step, or the published utilisation of other runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import llmcalc
from llmcalc.estimate.cost import FROM_OPERATIONS
from llmcalc.report.training_step import step_notes
from llmcalc.training.layouts import meshes, padded, padding
from llmcalc.training.run import read_run
from llmcalc.training.training_time import FASTEST, GIVEN, WITHOUT_ROOM


def test_a_run_takes_the_hours_of_its_steps() -> None:
    for name, gpu in (("llama3-8b", "h100:8"), ("qwen3-30b-a3b", "h100:16"), ("deepseek-v2-236b", "h800:256")):
        found = llmcalc.train(name, "1T", gpu=gpu)
        assert found.step_time
        assert found.machine
        assert found.machine.mfu_source == FROM_OPERATIONS
        assert found.hours
        assert found.evidence["step_time"] == "measured"
        steps = found.step.tokens / found.step_time.tokens
        assert found.hours.mid == pytest.approx(steps * found.step_time.seconds * found.machine.count / 3600, rel=1e-6)
        assert found.hours.high / found.hours.mid == pytest.approx(found.step_time.high / found.step_time.seconds)


def test_gpus_without_a_published_utilisation_have_a_time() -> None:
    with pytest.raises(llmcalc.InputError, match="no published utilisation"):
        llmcalc.machine("b200-180gb:8")
    for gpu in ("b200-180gb:8", "mi300x:8", "tpu-v6e:8"):
        found = llmcalc.train("llama3-8b", "1T", gpu=gpu)
        assert found.machine
        assert found.machine.mfu_source == FROM_OPERATIONS
        assert found.published is None
        assert found.other_hours is None
        assert found.to_dict()["published"] is None


def test_a_given_utilisation_stands_beside_the_step() -> None:
    found = llmcalc.train("llama3-8b", "1T", gpu=llmcalc.machine("h100:8", mfu=0.37))
    step = llmcalc.train("llama3-8b", "1T", gpu="h100:8")
    assert found.basis == "given MFU"
    assert found.hours
    assert found.hours.low == found.hours.high
    assert found.step_time
    assert step.step_time
    assert found.step_time.seconds == step.step_time.seconds
    assert found.other_hours == step.hours
    assert llmcalc.train("llama3-8b", "1T").step_time is None


def test_energy_follows_the_hours_of_days_and_cost() -> None:
    for machine in ("h100:8", llmcalc.machine("h100:8", mfu=0.37)):
        found = llmcalc.train("llama3-8b", "1T", gpu=machine)
        assert found.hours
        assert [one.mwh.mid / one.watts / one.pue * 1e6 for one in found.emissions] == pytest.approx(
            [found.hours.mid] * 3
        )


def test_the_layout_of_a_step() -> None:
    mesh = llmcalc.Mesh(dp=4, tp=2, zero=1)
    given = llmcalc.train("llama3-8b", "1T", seq=4096, gpu="h100:8", mesh=mesh, micro_batch=2, batch_tokens="1M",
                          recompute="full").step_time  # fmt: skip
    assert given
    assert given.origin == GIVEN
    assert given.step.layout.mesh.micro_batches == 31
    assert given.tokens == 4 * 2 * 31 * 4096
    assert given.step.layout.recompute == "full"
    chosen = llmcalc.train("llama3-70b", "1T", gpu="h100:64").step_time
    assert chosen
    assert chosen.origin == FASTEST
    assert chosen.step.layout.mesh.ranks == 64
    small = llmcalc.train("llama3-70b", "1T", gpu="h100:1").step_time
    assert small
    assert small.origin == WITHOUT_ROOM


def test_the_layouts_that_are_tried() -> None:
    model, dense = llmcalc.load("qwen3-30b-a3b"), llmcalc.load("llama3-8b")
    found = [mesh for choices in meshes(model, 48, 8, 100) for mesh in choices]
    assert all(mesh.ranks == 48 and 128 % mesh.ep == 0 for mesh in found)
    assert {mesh.tp for mesh in found} == {1, 8}
    assert {mesh.pp for mesh in found} >= {1, 2, 3}
    assert all(mesh.dp <= 7 for choices in meshes(dense, 64, 8, 7) for mesh in choices)
    assert padding(126, 16) == 2
    assert padded(dense, 3).main.n_layers == 33
    assert padded(dense, 4) is dense


def test_numbers_of_tokens_and_price_follow_the_answer() -> None:
    found = llmcalc.train("qwen3-30b-a3b", "1T", gpu="h100:16")
    assert found.days
    assert found.hours
    assert found.cost
    assert found.price
    assert found.days.mid == pytest.approx(found.hours.mid / 16 / 24)
    assert found.cost[0] == pytest.approx(found.hours.low * found.price.low)
    data: dict[str, Any] = found.to_dict()
    assert data["step_time"]["mfu"]["mid"] == pytest.approx(data["machine"]["mfu"]["mid"])


@pytest.mark.parametrize("change", [lambda own: own | {"seq": 8192}, lambda own: own | {"batch_tokens": "8M"}])
def test_a_step_has_whole_sequences(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    found = llmcalc.train("llama3-8b", "1T", **change({"gpu": "h100:8"})).step_time
    assert found
    assert found.tokens % found.step.layout.sequences == 0


def test_replicas_divide_the_update_of_the_weights() -> None:
    """Without ZeRO each of 4 replicas updates all weights, and with it a quarter of them."""
    whole, divided = (
        llmcalc.train("llama3.2-1b", "1T", gpu="h100:4", batch_tokens="1M", mesh=llmcalc.Mesh(dp=4, zero=stage))
        for stage in (0, 1)
    )
    assert whole.step_time is not None
    assert divided.step_time is not None
    parts = [run.step_time.step.parts["optimizer"] for run in (whole, divided) if run.step_time]
    assert parts[0] == pytest.approx(4 * parts[1], rel=0.02)


def test_sizes_of_micro_batches_are_powers_of_two() -> None:
    for seq in (2048, 4096):
        found = llmcalc.train("llama3.2-1b", "1T", seq=seq, gpu="h100:8")
        assert found.step_time is not None
        assert found.step_time.step.layout.micro_batch == 2**14 // seq  # the largest that is tried, and it fits


def test_stages_may_lack_a_tenth_of_the_layers() -> None:
    """11 stages of 2 layers: 20 layers lack 2, and 19 lack 3."""
    for n_layers, is_used in ((20, True), (19, False)):
        model = llmcalc.load("llama3.1-8b", overrides=[f"n_layers={n_layers}"])
        assert any(mesh.pp == 11 for choices in meshes(model, 88, 8, 997) for mesh in choices) is is_used


def test_experts_are_divided_over_at_most_64_gpus() -> None:
    """130 experts on 130 GPUs: 5 of them on a node, 26 over several ones, and not 65."""
    model = llmcalc.load("qwen3-30b-a3b", overrides=["n_experts=130"])
    found = {mesh.ep for choices in meshes(model, 130, 8, 997) for mesh in choices if mesh.dp == 130}
    assert found == {5, 26}


def test_a_layout_of_adapters_has_the_memory_of_adapters() -> None:
    """All states of 70B parameters need more than 8 GPUs, and adapters with frozen weights do not."""
    whole, adapters = (llmcalc.train("llama3-70b", "1B", gpu="h100:8", lora_rank=rank).step_time for rank in (None, 16))
    assert whole
    assert adapters
    assert (whole.origin, adapters.origin) == (WITHOUT_ROOM, FASTEST)
    layout = adapters.step.layout
    found = llmcalc.train("llama3-70b", "1B", gpu="h100:8", lora_rank=16, mesh=layout.mesh, recompute=layout.recompute,
                          micro_batch=layout.micro_batch).fit  # fmt: skip
    assert found
    assert found.fits


def test_time_and_memory_have_the_adapters_of_the_program() -> None:
    def run(**named: Any) -> Any:
        own = {
            "seq": 2048,
            "gpu": "h100:8",
            "mesh": llmcalc.Mesh(dp=8, zero=3),
            "lora_rank": 16,
            "stack": "mlperf-nemo",
        }
        return llmcalc.train("llama2-70b", "1B", **{**own, **named})

    usual, same, every = run(), run(lora_targets=["wq", "wk", "wv", "wo"]), run(lora_targets=["all-linear"])
    assert usual.step_time.seconds == same.step_time.seconds < every.step_time.seconds
    assert usual.fit.needed == same.fit.needed < every.fit.needed
    assert usual.weights_bytes == same.weights_bytes < every.weights_bytes


def test_a_step_has_the_attention_of_the_training_file() -> None:
    own = {"model": "llama3-8b", "tokens": "1B", "gpu": "h100:8", "mesh": llmcalc.Mesh(dp=8, zero=3), "seq": 8192}
    plain, stored = read_run(own), read_run(own, {"mode": "training", "attention": "eager"})
    assert plain.step
    assert stored.step
    assert stored.step.seconds > 1.2 * plain.step.seconds


def test_a_step_of_unknown_recomputation_says_what_it_leaves_out() -> None:
    mesh = llmcalc.Mesh(dp=8, zero=3)
    for recompute, is_said in (("unknown", True), ("full", False)):
        run = llmcalc.train("llama3-8b", "1B", gpu="h100:8", mesh=mesh, recompute=recompute)
        assert any("without recomputation, as" in note for note in step_notes(run)) is is_said
