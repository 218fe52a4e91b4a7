"""Null experts: the FLOP count is an upper bound, and says so."""

import json

import pytest

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.cli.main import main
from llmcalc.core.ledger import rows

CONFIG = {
    "model_type": "longcat_flash", "vocab_size": 101, "hidden_size": 66, "num_layers": 3, "num_attention_heads": 3,
    "ffn_hidden_size": 37, "expert_ffn_hidden_size": 13, "n_routed_experts": 11, "moe_topk": 5, "zero_expert_num": 6,
    "q_lora_rank": 17, "kv_lora_rank": 19, "qk_nope_head_dim": 22, "qk_rope_head_dim": 14, "v_head_dim": 22,
}  # fmt: skip
TOKENS, CHOSEN, EXPERTS, IDLE = 7, 5, 11, 6


def counted(**more):
    return llmcalc.flops(llmcalc.load(CONFIG | more), seq=TOKENS)


def test_every_choice_is_of_an_expert_at_most():
    expert = 2 * 3 * 66 * 13  # three matrices
    work = counted()
    assert work.by_component["routed experts"].matmul == 3 * TOKENS * CHOSEN * expert
    assert work.matmul - work.even_matmul == round(3 * TOKENS * CHOSEN * expert * IDLE / (EXPERTS + IDLE))


def test_a_router_of_computing_experts_alone_is_exact():
    work = counted(zero_expert_num=0)
    assert work.even_matmul == work.matmul
    assert (
        llmcalc.flops(llmcalc.load("mixtral-8x7b"), seq=7).even_matmul
        == llmcalc.flops(llmcalc.load("mixtral-8x7b"), seq=7).matmul
    )


def test_ranks_share_the_experts_that_compute():
    """Rows that are stored for the others stand on every rank."""
    model = llmcalc.load(CONFIG | {"n_routed_experts": 12})
    row = next(row for row in rows(model.stacks) if "xz" in row.tensor.axes and row.tensor.active)
    share = Mesh(dp=4, ep=4).share_of_weight(row.tensor, row.declaration, row.size)
    assert share * (12 + IDLE) == row.size * (12 // 4 + IDLE)


@pytest.mark.parametrize(("idle", "bound"), [(6, True), (0, False)])
def test_the_answer_says_that_it_is_a_bound(idle, bound, tmp_path, capsys):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(CONFIG | {"zero_expert_num": idle}))
    assert main(["flops", str(file), "--seq", "7", "--format", "plain"]) == 0
    assert ("matmul is an upper bound" in capsys.readouterr().out) is bound
