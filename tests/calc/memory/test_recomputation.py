"""Recomputation: stored tensors counted by hand, the layers that are recomputed, and bounds of every policy."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import llmcalc
from llmcalc import InputError, Mesh
from llmcalc.calc.memory.recomputation import MODULES, recomputation
from llmcalc.calc.memory.saved_tensors import FP32_BYTES, ActivationPolicy
from llmcalc.calc.memory.training import saved_tensors
from llmcalc.core.architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from llmcalc.core.workload import Workload
from llmcalc.layers.attention import Attention
from llmcalc.layers.embedding import Embedding
from llmcalc.layers.head import Head
from llmcalc.layers.mla import Mla
from llmcalc.layers.mlp import Mlp
from llmcalc.layers.moe import Moe
from llmcalc.layers.norm import Norm
from llmcalc.layers.parts.rope import Rope

B, Q, D, F, V, H, G, E, LAYERS = 2, 5, 12, 17, 31, 6, 3, 11, 7
TOKENS = B * Q
STREAM, LOSS = TOKENS * D, TOKENS * V
ATTENTION, DENSE = Attention(D, H, G, E, rope=Rope()), Mlp(D, F, "silu", gated=True)
OUTSIDE = {STREAM: 1, TOKENS: 1, LOSS: 1}  # input and row of the last norm are saved, and so is its result for the head


def model(*layers: Any, count: int = LAYERS) -> Architecture:
    parts = tuple(Sublayer(f"part{n}", (Branch("part", layer),), pre=Norm(D)) for n, layer in enumerate(layers))
    outputs = (Named("norm", Norm(D)), Named("head", Head(V, D)))
    stack = Stack("decoder", D, (Named("token", Embedding(V, D)),), (Run(Block("block", parts), count),), outputs)
    return Architecture("small", (stack,))


def stored(recompute: str, architecture: Architecture, mesh: Mesh | None = None) -> Counter[int]:
    """Return how many tensors of each size the blocks store."""
    policy = ActivationPolicy(bytes=FP32_BYTES, recompute=recompute)
    workload = Workload(batch=B, seq=Q, mode="train")
    found = saved_tensors(architecture, workload, policy, mesh or Mesh())
    return Counter(size // FP32_BYTES for name, size in found if name.startswith("block."))


def test_operations_store_the_block_input_every_other_product_and_attention() -> None:
    # input; of q k v o g u d those with odd numbers: q, v, g and d; the result of attention and a number per query
    each = Counter({STREAM: 2, TOKENS * H * E: 2, TOKENS * G * E: 1, TOKENS * F: 1, TOKENS * H: 1})
    assert stored("op", model(ATTENTION, DENSE)) == Counter({size: LAYERS * n for size, n in each.items()})


def test_operations_recompute_every_nth_product() -> None:
    # of q k v o g u d all but the third and the sixth
    each = Counter({STREAM: 3, TOKENS * H * E: 2, TOKENS * G * E: 1, TOKENS * F: 1, TOKENS * H: 1})
    assert stored("op:3", model(ATTENTION, DENSE)) == Counter({size: LAYERS * n for size, n in each.items()})


def test_operations_store_the_results_of_collectives() -> None:
    """With two tensor-parallel ranks, d is stored before and after its reduction, and o only after it."""
    architecture = model(Attention(D, H, 2, E), Mlp(D, 2 * F, "silu", gated=True))
    one, two = stored("op", architecture), stored("op", architecture, Mesh(tp=2, sp=True))
    assert one[STREAM] == 2 * LAYERS
    assert two[STREAM] == LAYERS  # d on each rank
    assert two[STREAM // 2] == 3 * LAYERS  # the input, o and d


@pytest.mark.parametrize(
    ("recompute", "dropped"),
    [
        ("core_attn", {TOKENS * H: 1}),  # the numbers of queries that a fused kernel stores
        ("layernorm", {STREAM: 2, TOKENS: 2}),  # results, and a number per token; the inputs remain
        ("mlp", {TOKENS * F: 4}),  # g, its activation, u, and their product; the input remains
        ("layernorm,mlp", {STREAM: 2, TOKENS: 2, TOKENS * F: 4}),
    ],
)  # fmt: skip
def test_modules_of_a_dense_layer(recompute: str, dropped: dict[int, int]) -> None:
    architecture = model(ATTENTION, DENSE)
    difference = stored("none", architecture) - stored(recompute, architecture)
    assert difference == Counter({size: LAYERS * n for size, n in dropped.items()})
    assert not stored(recompute, architecture) - stored("none", architecture)


def test_modules_of_a_layer_with_experts() -> None:
    chosen, shared = 2, 19
    layer = Moe(D, 23, 7, chosen, activation="silu", gated=True, shared={"d_ff": shared})
    architecture = model(ATTENTION, layer)
    plain = stored("none", architecture)

    def dropped(recompute: str) -> Counter[int]:
        return plain - stored(recompute, architecture)

    hidden = TOKENS * chosen * 23
    assert dropped("moe_act")[hidden] == 2 * LAYERS  # the activation and the product; g and u remain
    assert dropped("shared_experts") == {TOKENS * shared: 4 * LAYERS}
    everything = dropped("moe")
    assert everything[hidden] == 4 * LAYERS
    assert everything[TOKENS * shared] == 4 * LAYERS
    assert STREAM not in everything  # the input of the layer remains


def test_latents_remain_if_their_projections_run_again() -> None:
    latent, queries, nope, rope, value = 13, 29, 7, 2, 5
    layer = Mla(D, H, q_lora_rank=queries, kv_lora_rank=latent, qk_nope_head_dim=nope, qk_rope_head_dim=rope,
                v_head_dim=value)  # fmt: skip
    architecture = model(layer, DENSE)
    plain, own = stored("none", architecture), stored("mla_up_proj", architecture)
    dropped = plain - own
    assert dropped[TOKENS * H * (nope + rope)] >= LAYERS  # queries
    assert TOKENS * latent not in dropped
    assert TOKENS * queries not in dropped
    assert own[TOKENS * rope] == plain[TOKENS * rope] + LAYERS  # the keys before their rotation


@pytest.mark.parametrize(
    ("recompute", "chunks", "expected"),
    [
        ("full", 1, "1111111"), ("none", 1, "0000000"), ("layer:2", 1, "0101010"), ("layer:3", 1, "0010010"),
        ("fraction:1/2", 1, "1010101"), ("fraction:1/3", 1, "0100100"), ("fraction:2/3", 1, "1011011"),
        ("fraction:1", 1, "1111111"), ("blocks:3", 1, "1110000"), ("blocks:9", 1, "1111111"),
        ("blocks:1", 2, "1000100"), ("op", 1, "1111111"), ("unknown", 1, "0000000"),
    ],
)  # fmt: skip
def test_layers_that_are_recomputed(recompute: str, chunks: int, expected: str) -> None:
    found = recomputation(recompute).layers(len(expected), chunks)
    assert "".join(str(int(flag)) for flag in found) == expected


def test_a_recomputed_layer_stores_its_input_and_others_all() -> None:
    architecture, alone = model(ATTENTION, DENSE), model(ATTENTION, DENSE, count=1)
    some = stored("layer:3", architecture)
    own = stored("none", alone)
    assert some == Counter({size: 5 * n for size, n in own.items()}) + Counter({STREAM: 2})


def test_one_input_is_stored_for_several_layers() -> None:
    sizes: dict[str, Any] = {"mode": "training", "seq": 128, "dtype": "fp32"}
    none, one, four = (llmcalc.memory("llama3-8b", recompute=how, **sizes) for how in ("none", "full", "full:4"))
    stream = 128 * 4096 * 4
    assert one.activations - four.activations == stream * (32 - 8)
    layer = (none.activations - one.activations) // 32 + stream
    first = [next(each for each in found.timeline if each.phase == "backward of block") for found in (one, four)]
    # in the backward pass of the last of four layers, the tensors of all four are in memory
    assert first[1].activations - first[0].activations == 3 * layer - 31 * stream * 3 // 4


POLICIES = ["selective", "op", "op:3", "layer:2", "layer:5", "fraction:1/3", "blocks:2", "layernorm"]
BY_MODEL = {
    "gpt2": ["mlp"], "llama3-8b": ["mlp", "layernorm,mlp"], "gemma2-2b": ["mlp"], "mixtral-8x7b": ["moe", "moe_act"],
    "deepseek-v2-lite": ["moe,mla_up_proj,layernorm", "shared_experts", "mlp"],
}  # fmt: skip


@pytest.mark.parametrize("attention", ["flash", "eager"])
@pytest.mark.parametrize("name", BY_MODEL)
def test_every_policy_lies_between_full_and_none(name: str, attention: str) -> None:
    def memory(recompute: str) -> Any:
        return llmcalc.memory(name, mode="training", seq=509, batch=3, recompute=recompute, attention=attention)

    none, full = memory("none"), memory("full")
    for recompute in [*POLICIES, *BY_MODEL[name]]:
        found = memory(recompute)
        assert full.activations < found.activations < none.activations, recompute
        assert full.peak <= found.peak <= none.peak, recompute


def test_what_is_recomputed_is_in_memory_only_in_its_own_backward_pass() -> None:
    """The feed-forward layer of a block is recomputed before that of attention, whose tensors are still stored."""
    sizes: dict[str, Any] = {"mode": "training", "seq": 8209, "loss": "fused"}
    none, mlp = (llmcalc.memory("llama3-8b", recompute=how, **sizes) for how in ("none", "mlp"))

    def spread(found: Any) -> list[int]:
        moments = [each.activations for each in found.timeline if each.phase == "backward of block"]
        return moments[: len(moments) // 32]

    plain, again = spread(none), spread(mlp)
    hidden = 4 * 8209 * 14336 * 2
    assert plain[0] - again[0] == 31 * hidden  # of the other layers; its own exist again
    assert plain[-1] - again[-1] == 31 * hidden


@pytest.mark.parametrize("text", ["some", "layer:0", "layer:x", "layer:1/2", "fraction:2", "op,mlp", "full,mlp", "mlp,",
                                  "blocks:", "layer:1000000", ""])  # fmt: skip
def test_other_words_are_errors_that_name_the_known_ones(text: str) -> None:
    with pytest.raises(InputError) as found:
        llmcalc.memory("gpt2", mode="training", recompute=text)
    assert "recompute" in str(found.value)


@pytest.mark.parametrize("module", ["moe", "moe_act", "shared_experts", "mla_up_proj"])
def test_a_module_that_a_model_lacks_has_no_effect(module: str) -> None:
    assert module in MODULES
    with pytest.raises(InputError, match="has no effect on llama3-8b"):
        llmcalc.memory("llama3-8b", mode="training", recompute=module)
