"""Exchange of tokens between the ranks of experts on several nodes."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc.api.accelerators import accelerators
from llmcalc.api.efficiencies import efficiencies
from llmcalc.api.step_models import step_model
from llmcalc.calc.sharding import Mesh
from llmcalc.estimate.time import exchange
from llmcalc.estimate.time.step import StepModel, step_values

H800 = efficiencies().device(accelerators()["h800"])
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
