"""Routing: its effect on FLOPs, dropped tokens and the declared number of experts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import llmcalc
from llmcalc.calc.touched_experts import expected_active_experts
from llmcalc.core.architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from llmcalc.layers.embedding import Embedding
from llmcalc.layers.head import Head
from llmcalc.layers.moe import Moe
from llmcalc.layers.parts.expert_capacity import Capacity
from llmcalc.layers.parts.routing import Routing
from llmcalc.twins import moe
from llmcalc.twins.model import Model
from llmcalc.twins.observer import Observer
from llmcalc.twins.training import train_step
from llmcalc.twins.weights import Weights

WIDTH, HIDDEN, EXPERTS, VOCAB = 13, 7, 6, 31
BATCH, SEQ = 2, 12
MATRICES = 3  # of a gated expert
ONE_PASS = 2 * MATRICES * WIDTH * HIDDEN  # FLOPs of one token in one expert

Options = dict[str, Any]
MANY: list[Options] = [
    {"top_k": 2, "expert_capacity": Capacity(factor=1.0)},
    {"top_k": 1, "expert_capacity": Capacity(factor=1.25)},  # as Switch has it
    {"top_k": 2, "expert_capacity": Capacity(5)},
    {"top_k": 3, "expert_capacity": Capacity(1)},
]


def steered(**routing: Any) -> tuple[Architecture, Model]:
    """A mixture behind a table: token ``id`` is sent to the experts ``id``, ``id + 1`` ... (mod EXPERTS)."""
    layer = Moe(WIDTH, HIDDEN, EXPERTS, **routing)
    block = Block("block", (Sublayer("moe", (Branch("moe", layer),)),))
    table, head = Named("token", Embedding(VOCAB, WIDTH)), Named("head", Head(VOCAB, WIDTH))
    architecture = Architecture("steered", (Stack("decoder", WIDTH, (table,), (Run(block, 1),), (head,)),))
    model = llmcalc.twin(architecture)
    rows = np.zeros((VOCAB, WIDTH))
    for token in range(VOCAB):
        for rank in range(layer.top_k):
            rows[token, (token + rank) % EXPERTS] = 4.0 - rank
    model.tensors["decoder.token.w"] = rows
    model.tensors["decoder.blocks.0.moe.router"] = np.eye(WIDTH, EXPERTS)
    return architecture, model


def declared(architecture: Architecture, mode: str = "forward") -> int:
    return int(llmcalc.flops(architecture, batch=BATCH, seq=SEQ, attention="dense", mode=mode).matmul)


def observed(model: Model, ids: Any, train: bool = False) -> int:
    observer = Observer()
    with observer.weights_of(model):
        train_step(model, ids, targets=np.zeros(ids.shape, int)) if train else model.forward(ids)
    return observer.matmul_flops


BALANCED = np.tile(np.arange(SEQ), (BATCH, 1))  # each expert gets SEQ · top_k / EXPERTS tokens of a sequence
ONE_SIDED = np.zeros((BATCH, SEQ), int)


def capacity_of(routing: Options) -> int:
    capacity = routing["expert_capacity"]
    return int(capacity.tokens or math.ceil(capacity.factor * SEQ * routing["top_k"] / EXPERTS))


@pytest.mark.parametrize("routing", MANY[:3], ids=str)
@pytest.mark.parametrize("train", [False, True])
def test_balanced_routing_matches_the_declaration(routing: Options, train: bool) -> None:
    architecture, model = steered(**routing)
    assert observed(model, BALANCED, train) == declared(architecture, "train" if train else "forward")


@pytest.mark.parametrize("ids", [BALANCED, ONE_SIDED], ids=["balanced", "one-sided"])
def test_routing_does_not_change_flops_without_a_capacity(ids: Any) -> None:
    architecture, model = steered(top_k=2)
    assert observed(model, ids) == declared(architecture)


@pytest.mark.parametrize("routing", MANY, ids=str)
def test_dropped_tokens_cost_nothing(routing: Options) -> None:
    architecture, model = steered(**routing)
    dropped = BATCH * routing["top_k"] * (SEQ - capacity_of(routing))
    assert dropped > 0
    assert observed(model, ONE_SIDED) == declared(architecture) - dropped * ONE_PASS
    assert observed(model, ONE_SIDED, train=True) == declared(architecture, "train") - 3 * dropped * ONE_PASS


@pytest.mark.parametrize("routing", MANY, ids=str)
def test_tokens_beyond_the_capacity_are_dropped(routing: Options) -> None:
    _, model = steered(**routing)
    _, boundless = steered(top_k=routing["top_k"])
    boundless.tensors = model.tensors
    taken = capacity_of(routing)
    found, whole = model.forward(ONE_SIDED), boundless.forward(ONE_SIDED)
    passed_by = model.tensors["decoder.token.w"][ONE_SIDED] @ model.tensors["decoder.head.w"].T
    assert np.allclose(found[:, :taken], whole[:, :taken], rtol=1e-12)
    assert np.allclose(found[:, taken:], passed_by[:, taken:], rtol=1e-12)
    assert not np.allclose(whole[:, taken:], passed_by[:, taken:], rtol=1e-3)


def test_mean_number_of_touched_experts() -> None:
    """The router's columns are at right angles, so that every choice is as likely."""
    rng, tokens, draws = np.random.default_rng(0), 5, 600
    layer = Moe(WIDTH, HIDDEN, EXPERTS, 2)
    w = Weights({"router": np.linalg.qr(rng.standard_normal((WIDTH, EXPERTS)))[0]})
    counts = []
    for _ in range(draws):
        chosen, share = moe.route(layer, w, rng.standard_normal((1, tokens, WIDTH)))
        assert all(len(set(row)) == layer.top_k for row in chosen[0])
        assert (share > 0).all()
        counts.append(len(set(chosen.ravel().tolist())))
    error = np.std(counts) / math.sqrt(draws)
    assert abs(np.mean(counts) - expected_active_experts(EXPERTS, layer.top_k, tokens)) < 4 * error


def test_overfull_experts_run_up_to_their_capacity() -> None:
    """Whoever is dropped: what runs is the declared work without the places that nobody got."""
    capacity = 3
    architecture, model = steered(top_k=2, expert_capacity=Capacity(capacity))
    lost = []
    for seed in range(20):
        ids = np.random.default_rng(seed).integers(0, VOCAB, (BATCH, SEQ))
        wanted = np.stack([(ids + rank) % EXPERTS for rank in range(2)])  # [j b q]
        sent = [(wanted[:, b] == expert).sum() for b in range(BATCH) for expert in range(EXPERTS)]
        dropped = sum(max(0, int(count) - capacity) for count in sent)
        assert observed(model, ids) == declared(architecture) - dropped * ONE_PASS
        lost.append(dropped)
    assert min(lost) > 0


def test_batch_capacity_takes_first_choices_first() -> None:
    """Both sequences choose experts 0 and 1, in this order: those of the first one come first at either."""
    _, model = steered(top_k=2, expert_capacity=Capacity(SEQ + 2, batch=True))
    placed = next(layer for layer in model.stacks[0].layers() if layer.layer.kind() == "moe")
    rows = model.tensors["decoder.token.w"][ONE_SIDED]
    chosen, _ = moe.route(placed.layer, placed.weights_in(model.tensors), rows)
    assert (chosen[0] == [0, 1]).all()
    assert (chosen[1, :2] == [0, 1]).all()
    assert (chosen[1, 2:] == -1).all()
    turned = np.stack([rows[0], rows[0][:, ::-1] * 0 + model.tensors["decoder.token.w"][EXPERTS - 1]])
    chosen, _ = moe.route(placed.layer, placed.weights_in(model.tensors), turned)  # experts 5 and 0 in the second one
    assert (chosen[0] == [0, 1]).all()
    assert (chosen[1, :, 0] == 5).all()
    assert (chosen[1, :2, 1] == 0).all()
    assert (chosen[1, 2:, 1] == -1).all()


def test_priority_by_score_and_late_renormalisation() -> None:
    layer = Moe(
        EXPERTS,
        HIDDEN,
        EXPERTS,
        2,
        routing=Routing(renormalise=True, renormalise_late=True, renormalise_eps=1e-30),
        expert_capacity=Capacity(batch=True, share=0.5, by_score=True),
    )
    x = np.zeros((1, 4, EXPERTS))
    x[0, :, 0], x[0, :, 1] = [3.0, 5.0, 4.0, 6.0], 1.0
    chosen, share = moe.route(layer, Weights({"router": np.eye(EXPERTS)}), x)
    assert chosen[0].tolist() == [[-1, -1], [0, 1], [-1, -1], [0, 1]]
    assert np.allclose(share[0, [1, 3]].sum(axis=-1), 1)
    assert (share[0, [0, 2]] == 0).all()


def test_zero_experts_in_verification() -> None:
    layer = Moe(WIDTH, HIDDEN, EXPERTS, 2, n_zero_experts=3, routing=Routing(correction="buffer"))
    block = Block("block", (Sublayer("moe", (Branch("moe", layer),)),))
    table, head = Named("token", Embedding(VOCAB, WIDTH)), Named("head", Head(VOCAB, WIDTH))
    result = llmcalc.verify(Architecture("idle", (Stack("decoder", WIDTH, (table,), (Run(block, 2),), (head,)),)))
    assert [check for check in result.checks if not check.ok] == []
    assert {"active experts", "active parameters"} <= {check.quantity for check in result.checks}
