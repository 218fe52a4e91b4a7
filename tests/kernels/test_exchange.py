"""Exchange of tokens between the ranks of experts on several nodes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

import llmcalc
from llmcalc.calc.memory.number_formats import Format
from llmcalc.calc.sharding import Mesh
from llmcalc.core.ledger import distinct_entries
from llmcalc.inputs.gpus import accelerators
from llmcalc.kernels import exchange
from llmcalc.kernels.efficiencies import efficiencies
from llmcalc.serving.step.step import StepModel, step_values
from llmcalc.serving.step.step_models import step_model
from llmcalc.training.kernels import Execution, TrainingKernels
from llmcalc.training.schedule import Overlaps, TrainingCoefficients
from llmcalc.training.step import TrainingLayout, stage_works, training_step

H800 = efficiencies().device(accelerators()["h800"])


def distinct_layers(name: str) -> Iterator[Any]:
    return (entry.layer for stack in llmcalc.load(name).stacks for entry in distinct_entries(stack))


OWN = {"latency_us": 0.0, "network": 1.0, "link": 1.0}


def test_a_token_is_sent_once_to_a_node_and_once_to_a_rank() -> None:
    def expected(places: int, chosen: int) -> float:
        return sum(1 - (1 - 1 / places) ** chosen for _ in range(places))

    copies = exchange.exchanged_copies(7, 3, 5, is_low_latency=False)
    assert copies == pytest.approx((expected(3, 7), expected(15, 7)))
    assert exchange.exchanged_copies(7, 3, 5, is_low_latency=True) == pytest.approx((7, 7 / 3))
    assert exchange.distinct(11, 1) == pytest.approx(1)
    assert exchange.copies(8, 8, 8) == pytest.approx(expected(8, 8))
    assert exchange.copies(32, 6, 8) * 31 / 32 == pytest.approx(expected(4, 6) * 3 / 4)
    assert exchange.copies(32, 8, 72) == pytest.approx(expected(32, 8))


@pytest.mark.parametrize(("places", "groups"), [(4, (8, 4)), (8, (8, 3)), (6, (12, 2)), (16, (8, 4)), (3, (1, 1))])
def test_the_groups_of_a_token_limit_the_places_that_it_reaches(places: int, groups: tuple[int, int]) -> None:
    number, top = groups
    each = max(places // number, 1)  # places with the experts of a group
    reached = [
        {place for group in chosen for place in range(group * places // number, group * places // number + each)}
        for chosen in combinations(range(number), top)
    ]
    assert exchange.reachable(places, groups) == pytest.approx(sum(map(len, reached)) / len(reached))


def test_a_token_of_deepseek_v3_reaches_four_of_eight_nodes() -> None:
    nodes = exchange.exchanged_copies(8, 8, 8, (8, 4), is_low_latency=False)
    assert nodes == pytest.approx((exchange.distinct(4, 8), exchange.distinct(32, 8)))
    layers = {layer.kind(): layer for layer in distinct_layers("deepseek-v3")}
    assert layers["moe"].expert_groups_of() == (8, 4)
    assert {layer.expert_groups_of() for name, layer in layers.items() if name != "moe"} == {(1, 1)}
    assert {layer.expert_groups_of() for layer in distinct_layers("qwen3-235b-a22b")} == {(1, 1)}


def test_training_sends_tokens_of_several_nodes_over_the_network() -> None:
    own = efficiencies().coefficients("exchange", "h800").values
    architecture = llmcalc.load("deepseek-v3")
    seconds = {}
    for number, top in ((8, 4), (1, 1)):
        layer = next(layer for layer in distinct_layers("deepseek-v3") if layer.kind() == "moe")
        assert layer.expert_groups_of() == (8, 4)
        copies = exchange.exchanged_copies(8, 8, 8, (number, top), is_low_latency=False)
        seconds[top] = exchange.exchange(4096 * 7168 * 2, 8, 8, copies, H800, own)
    mesh = Mesh(dp=64, ep=64, etp=1, zero=1, micro_batches=1)
    layout = TrainingLayout(mesh, 1, "none")
    kernels = TrainingKernels(
        accelerators()["h800"], mesh, Format("bf16", 16), efficiencies(), Execution(dispatcher="deepep")
    )
    stages = stage_works(architecture, kernels, layout, 4096, 12)
    found = training_step(layout, stages, 8, TrainingCoefficients(), Overlaps(), 1.0).parts["communication"]
    assert found == pytest.approx(58 * 4 * seconds[4], rel=0.01)
    assert found < 0.8 * 58 * 4 * seconds[1]


def test_the_network_and_the_links_send_at_once() -> None:
    """400 Gbit/s per GPU, and 200 GB/s within a node. A rank does not send its own part."""
    network, link = 997 * 3 * 2 / 3 / 50e9, 997 * 5 * 6 / 7 / 200e9
    assert exchange.exchange(997, 3, 7, (3, 5), H800, OWN) == pytest.approx(max(network, link))
    assert exchange.exchange(997, 3, 7, (3, 89), H800, OWN) == pytest.approx(89 / 5 * link)
    assert exchange.exchange(997, 3, 7, (0, 0), H800, {**OWN, "latency_us": 13}) == pytest.approx(13e-6)


def model(weights: str, ranks: int = 16, gpu: str = "h100-sxm") -> StepModel:
    mesh = Mesh(dp=ranks, ep=ranks, etp=1)
    return step_model(llmcalc.load("qwen3-235b-a22b"), accelerators()[gpu], mesh, "sglang", weights=weights)


def exchanged(own: StepModel, **phases: object) -> float:
    return float(own.step(**phases).collectives["all-to-all (ep)"])


@pytest.mark.parametrize(("weights", "bits"), [("bf16", 16), ("fp8-block", 8.25), ("nvfp4", 16)])
def test_tokens_are_sent_in_the_format_in_which_experts_compute(weights: str, bits: float) -> None:
    """An H100 has no peak in 4 bits, and expands the weights. 128 elements share a scale of 32 bits."""
    assert exchange.dispatched_bits(model(weights)) == bits


def test_a_step_sends_tokens_and_their_outputs_in_every_layer() -> None:
    """94 layers, 8 experts per token, d_model 4096, 2 nodes: half of the copies leave a node."""
    own = efficiencies().coefficients("exchange", "h100-sxm").values
    sent = 101 * 8 / 2 * 4096 * (8.25 + 16) / 8 / (50e9 * own["network"])
    found = exchanged(model("fp8-block"), decode=step_values(101.0, 1.0, 1009.0))
    assert found == pytest.approx(94 * (2 * own["latency_us"] * 1e-6 + sent))
    prefill = exchanged(model("fp8-block"), prefill=step_values(1.0, 1009.0, 1009.0))
    assert prefill < found * 1009 / 101  # a node receives a token once
    assert exchanged(model("bf16"), decode=step_values(101.0, 1.0, 1009.0)) > found


def test_ranks_of_one_node_have_the_collectives_of_the_node() -> None:
    own = model("fp8-block", ranks=8)
    own.step(step_values(101.0, 1.0, 1009.0))
    assert ("exchange", "") not in own.efficiencies
    assert ("collectives", "all-to-all") in own.efficiencies
