"""What recipes do to the memory of training: FP8, fused kernels, offloaded activations, optimizers in the backward."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc import Mesh
from llmcalc.calc.memory.pipeline import ParallelMemory
from llmcalc.core.errors import InputError

BATCH, SEQ, VOCAB, RANK = 3, 97, 211, 5
TOKENS = BATCH * SEQ
LAYERS, WIDTH, HEADS, KV_HEADS, HEAD, FF = 4, 104, 13, 1, 8, 307
SIZES = (
    f"n_layers={LAYERS}", f"d_model={WIDTH}", f"n_heads={HEADS}", f"n_kv_heads={KV_HEADS}", f"d_ff={FF}",
    f"vocab={VOCAB}",
)  # fmt: skip
QUERIES, KEYS = HEADS * HEAD, KV_HEADS * HEAD
MATRICES = WIDTH * (QUERIES + 2 * KEYS) + QUERIES * WIDTH + 3 * WIDTH * FF  # of a block


def memory(**settings: Any) -> ParallelMemory:
    model = llmcalc.load("llama3-8b", overrides=SIZES)
    return llmcalc.memory(model, mode="training", batch=BATCH, seq=SEQ, **settings)


def saved(**settings: Any) -> int:
    """Bytes that the blocks save."""
    blocks = (each for each in memory(**settings).worst.schedule.segments if not each.is_outside)
    return sum(each.saved * each.count for each in blocks)


def test_a_fused_activation_saves_no_result_of_its_function() -> None:
    assert saved() - saved(fused_activation=True) == LAYERS * TOKENS * FF * 2


@pytest.mark.parametrize("fp8", ["weights", "copies"])
def test_products_in_fp8_save_their_inputs_in_one_byte(fp8: str) -> None:
    # one copy for queries, keys and values, one for gate and up-projection, and one of what `wd` reads. What `wo` reads
    # is also the result of attention, which stays in 16 bits
    halved, added = TOKENS * (2 * WIDTH + FF), TOKENS * QUERIES
    assert saved(fp8=fp8) - saved() == LAYERS * (added - halved)


def test_copies_in_fp8_are_those_of_matrices_of_blocks() -> None:
    assert memory(fp8="copies").weights - memory(fp8="weights").weights == LAYERS * MATRICES * 2
    assert memory(fp8="weights").weights == memory().weights


def test_a_recomputed_norm_is_dropped_in_fp8_too() -> None:
    dropped = saved(fp8="weights") - saved(fp8="weights", recompute="layernorm")
    assert dropped == LAYERS * 2 * TOKENS * (WIDTH + 4)  # two norms, with a factor in fp32 for each token


def test_a_parallel_loss_keeps_one_tensor_in_fp32() -> None:
    logits = TOKENS * VOCAB
    loss = memory(loss="parallel").worst.schedule.loss
    assert (loss.saved, loss.transient) == (logits * 4, logits * 2)


def test_dropped_inputs_of_adapters_are_saved_with_their_masks() -> None:
    settings = {"lora_rank": RANK, "lora_targets": ["wq", "wd"]}
    assert saved(**settings, lora_dropout=True) - saved(**settings) == LAYERS * TOKENS * (WIDTH + FF) * (2 + 1)


def test_offloaded_activations_are_in_host_memory_except_those_of_a_block() -> None:
    usual, found = memory(), memory(offload_activations=True)
    block = saved() // LAYERS
    assert found.host == (LAYERS - 1) * block
    assert usual.activations - found.activations == found.host
    both = memory(offload_activations=True, offload="optimizer")
    assert both.host == found.host + usual.optimizer
    assert (
        max(each.activations for each in found.worst.timeline if each.phase == "forward")
        < 2 * block + TOKENS * VOCAB * 8
    )


def test_an_optimizer_in_the_backward_pass_keeps_one_gradient() -> None:
    settings = {"convention": "torch", "recompute": "full", "loss": "fused"}
    usual, found = memory(**settings), memory(**settings, optimizer_in_backward=True)
    largest = WIDTH * VOCAB * 2
    assert found.gradients == 0
    # the gradient of a weight, and the copies that the optimizer makes of it
    assert max(each.gradients for each in found.worst.timeline) == 3 * max(largest, WIDTH * FF * 2)
    assert min(each.gradients for each in usual.worst.timeline if each.phase == "optimizer step") == usual.gradients
    assert found.peak < usual.peak


def test_a_tied_table_keeps_its_gradient_until_the_input() -> None:
    model = llmcalc.load("llama3.2-1b", overrides=SIZES)
    found = llmcalc.memory(model, mode="training", batch=BATCH, seq=SEQ, optimizer_in_backward=True)
    table = WIDTH * VOCAB * 2
    blocks = [each.gradients for each in found.worst.timeline if each.phase.startswith("backward of block")]
    assert min(blocks) >= table


@pytest.mark.parametrize("settings", [{"mesh": Mesh(micro_batches=2)}, {"gradient_buffer": True}])
def test_accumulated_gradients_have_no_optimizer_in_the_backward_pass(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="optimizer_in_backward"):
        memory(optimizer_in_backward=True, **settings)


def test_recomputed_activations_of_experts_save_no_results_of_experts() -> None:
    model = llmcalc.load("mixtral-8x7b", overrides=SIZES)
    found = llmcalc.memory(model, mode="training", seq=SEQ, recompute="moe_act").worst.schedule.segments[1].tensors
    names = {name.rpartition(".")[2].partition("@")[0] for name in found if name.startswith("moe")}
    assert {"xe", "g", "u"} <= names
    assert not {"a", "m", "z"} & names


@pytest.mark.parametrize(
    ("pp", "more"),
    [
        (16, {}),  # a stage of four layers on each rank
        (8, {"fp8": "weights", "fused_activation": True}),  # DualPipe: two of sixteen stages on each rank
    ],
)  # fmt: skip
def test_the_published_mesh_of_deepseek_v3_fits(pp: int, more: dict[str, Any]) -> None:
    """DeepSeek-V3 technical report, Sections 3.2.3 and 3.3, and 4.2: 2,048 H800, 64-way experts, ZeRO-1, sequences of
    4,096 tokens, 15,360 in a batch. The averaged weights are in host memory.
    """
    dp = 2048 // pp
    mesh = Mesh(dp=dp, pp=pp, ep=64, zero=1, micro_batches=15360 // dp)
    found = llmcalc.fit(
        "deepseek-v3", "h800:2048", mode="training", seq=4096, gradients="fp32", optimizer="adamw-bf16",
        recompute="layernorm,mla_up_proj,moe_act", mesh=mesh, **more,
    )  # fmt: skip
    assert found.fits
    assert not llmcalc.fit("deepseek-v3", "h800:2048", mode="training", seq=4096, gradients="fp32", mesh=mesh).fits
