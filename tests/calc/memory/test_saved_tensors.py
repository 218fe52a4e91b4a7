"""Saved tensors of a training step, compared with counts by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from llmcalc.calc.memory.optimizer import Recipe
from llmcalc.calc.memory.saved_tensors import FP32_BYTES, ActivationPolicy
from llmcalc.calc.memory.training import saved_tensors, training_memory
from llmcalc.calc.sharding import Mesh
from llmcalc.core.architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from llmcalc.core.layer import Layer
from llmcalc.core.workload import Workload
from llmcalc.layers.attention import Attention
from llmcalc.layers.delta_rule import GatedDeltaNet
from llmcalc.layers.embedding import Embedding
from llmcalc.layers.gemma3n import PerLayerTable
from llmcalc.layers.head import Head
from llmcalc.layers.hyper_connection import HyperConnection
from llmcalc.layers.mlp import Mlp
from llmcalc.layers.moe import Moe
from llmcalc.layers.norm import Norm
from llmcalc.layers.parts.cross import Cross
from llmcalc.layers.parts.kv import Kv
from llmcalc.layers.parts.rope import Rope
from llmcalc.layers.parts.routing import Routing
from llmcalc.zoo.research.layers.grouped import GroupedAttention, GroupedMlp
from llmcalc.zoo.research.layers.lightning_attention import LightningAttention

B, Q, N, D, F, V = 2, 5, 7, 12, 17, 31
H, G, E = 6, 3, 11
TOKENS = B * Q
STREAM = TOKENS * D
LOSS = TOKENS * V


def decoder(*layers: Layer, name: str = "decoder", norm: Norm | None = None, head: bool = True) -> Stack:
    parts = tuple(Sublayer(f"part{n}", (Branch("part", layer),), pre=norm) for n, layer in enumerate(layers))
    outputs = (Named("head", Head(V, D)),) if head else ()
    role = "decoder" if head else "encoder"
    table = Named("token", Embedding(V, D))
    return Stack(name, D, (table,), (Run(Block("block", parts), 3),), outputs, role)


def kept(*stacks: Stack, **policy: Any) -> Counter[int]:
    """How many tensors of each size are kept; sizes in numbers of fp32."""
    workload = Workload(
        batch=B, seq=N if len(stacks) > 1 else Q, target_seq=Q if len(stacks) > 1 else None, mode="train"
    )
    rule = ActivationPolicy(**{"attention": "eager", "bytes": FP32_BYTES, "scan": "fused", **policy})
    found = saved_tensors(Architecture("small", stacks), workload, rule, Mesh())
    return Counter(size // FP32_BYTES for _, size in found)


def test_a_gated_layer_keeps_its_input_and_four_hidden_tensors() -> None:
    # x; of the gate g its input and its output, u, and the product: 3 blocks; the head's input and the loss
    assert kept(decoder(Mlp(D, F, "silu", gated=True))) == {STREAM: 3 + 1, TOKENS * F: 3 * 4, LOSS: 1}


def test_a_plain_layer_keeps_what_its_activation_needs() -> None:
    assert kept(decoder(Mlp(D, F, "gelu")))[TOKENS * F] == 3 * 2  # input and output
    assert kept(decoder(Mlp(D, F, "relu")))[TOKENS * F] == 3 * 1  # the output tells
    assert kept(decoder(Mlp(D, F, "identity")))[TOKENS * F] == 3 * 1


@pytest.mark.parametrize(("function", "rows"), [("rmsnorm", 1), ("layernorm", 2)])
def test_a_norm_keeps_its_input_and_a_number_or_two_a_row(function: str, rows: int) -> None:
    plain, normed = (kept(decoder(Mlp(D, F), norm=norm)) for norm in (None, Norm(D, function)))
    assert normed - plain == {STREAM: 3, TOKENS: 3 * rows}


def test_attention_keeps_queries_keys_values_probabilities_and_its_result() -> None:
    layer = Attention(D, H, G, E, d_head_v=E, rope=Rope())
    found = kept(decoder(layer))
    assert found[TOKENS * H * E] == 3 * 2  # queries and results
    assert found[TOKENS * G * E] == 3 * 2  # keys and values
    assert found[B * H * Q * Q] == 3


def test_a_fused_kernel_keeps_a_number_a_query_instead_of_probabilities() -> None:
    layer = Attention(D, H, G, E)
    found, fused = kept(decoder(layer)), kept(decoder(layer), attention="flash")
    assert found - fused == {B * H * Q * Q: 3}
    assert fused - found == {B * H * Q: 3}
    assert fused - kept(decoder(layer), attention="flash", recompute="selective") == {B * H * Q: 3}


def test_values_that_are_keys_are_kept_once() -> None:
    layers = [Attention(D, H, G, E, kv={"values_are_keys": same}) for same in (False, True)]
    assert kept(decoder(layers[0])) - kept(decoder(layers[1])) == {TOKENS * G * E: 3}


def test_a_norm_over_all_heads_has_one_row_a_token() -> None:
    for norm, rows in (("head", {TOKENS * H: 3, TOKENS * G: 3}), ("projection", {TOKENS: 6})):
        plain, normed = (kept(decoder(Attention(D, H, G, E, qk_norm=each))) for each in ("none", norm))
        assert normed - plain == {TOKENS * H * E: 3, TOKENS * G * E: 3, **rows}


def test_what_all_cross_attention_reads_is_kept_once() -> None:
    cross = Attention(D, H, G, E, cross=Cross(), causal=False)
    encoder = decoder(Mlp(D, F), name="encoder", head=False)
    with_source = kept(encoder, decoder(cross))
    assert with_source[B * N * D] == 3 + 1  # the encoder's three blocks, and its output
    assert with_source[B * N * G * E] == 3 * 2
    assert with_source[B * H * Q * N] == 3


def test_a_mixture_keeps_a_share_for_each_expert_of_a_token() -> None:
    k, experts = 2, 13
    layers = [Moe(D, F, experts, k, routing=Routing(renormalise=each)) for each in (False, True)]
    plain, shared = (kept(decoder(layer)) for layer in layers)
    assert plain[TOKENS * k] == 3
    assert plain[TOKENS * experts] == 3
    assert shared - plain == {TOKENS * k: 3}
    assert plain[TOKENS * k * F] == 3 * 4
    assert plain[TOKENS * k * D] == 3 * 2  # the tokens at their experts, and what comes back


def test_a_corrected_score_is_for_choosing_only() -> None:
    layers = [Moe(D, F, 13, 2, routing=Routing(correction=each)) for each in ("none", "buffer")]
    assert kept(decoder(layers[0])) == kept(decoder(layers[1]))


def test_a_fused_recurrence_keeps_what_goes_in() -> None:
    layer = GatedDeltaNet(D, n_k_heads=3, n_v_heads=6, d_k=7, d_v=13)
    fused, eager = kept(decoder(layer)), kept(decoder(layer), scan="eager")
    assert not fused - eager
    assert sum((size * count for size, count in (eager - fused).items())) > 0
    assert fused[TOKENS * 3 * 7] == 3 * 2 * 4  # queries and keys: before and after convolution, silu and norm


def test_attention_in_blocks_keeps_its_inputs_whole_and_a_state_between_two_blocks() -> None:
    heads, width, size = 3, 7, 13
    layer = LightningAttention(D, heads, width, block=2)  # of 5 tokens: blocks of 2, 2 and 1
    fused, eager = kept(decoder(layer)), kept(decoder(layer), scan="eager")
    assert fused[TOKENS * heads * width] == 3 * 10  # queries, keys, values: twice; what is found: thrice; the gate
    decayed = Counter({B * 3 * heads * width: 3, B * 4 * heads * width: 3})  # queries behind the first block, and keys
    between = Counter({B * heads * width * width: 3 * 2})  # behind two blocks, as two tensors
    assert eager - fused == decayed + between + Counter({B * heads * (4 + 4 + 1): 3})
    assert not kept(decoder(replace(layer, block=size)), scan="eager")[B * heads * width * width]


def test_a_chain_of_projections_keeps_what_each_of_them_gets() -> None:
    assert kept(decoder(GroupedMlp(D, 20, groups=4, out_groups=2)))[TOKENS * 20] == 3 * 2
    assert kept(decoder(GroupedAttention(D, 3)))[STREAM] == 3 * (1 + 3 + 1) + 1  # stream, q, k, v, what is found; head


def test_keys_that_a_layer_uses_again_are_kept_by_the_one_that_made_them() -> None:
    own = Attention(D, H, G, E)
    again = replace(own, kv=Kv(reused=True))
    assert kept(decoder(own, again))[TOKENS * G * E] == kept(decoder(own))[TOKENS * G * E] == 3 * 2
    size = TOKENS * H * E  # torch has a copy for every query head, in both layers
    assert kept(decoder(again), convention="torch")[size] == kept(decoder(own), convention="torch")[size]


def test_the_stream_in_front_of_the_first_block_is_kept_once() -> None:
    stack = decoder(Mlp(D, F))
    table = Named("table", PerLayerTable(V, D, 3, 13))
    assert kept(replace(stack, inputs=(*stack.inputs, table)))[STREAM] == kept(stack)[STREAM] == 3 + 1


def test_a_block_that_is_computed_again_keeps_all_of_its_streams() -> None:
    stack = decoder(Mlp(D, F))
    (part,) = stack.runs[0].block.sublayers
    four = replace(stack.runs[0], block=Block("block", (replace(part, pre=HyperConnection(D, 4)),)))
    workload, policy = Workload(batch=B, seq=Q, mode="train"), ActivationPolicy(recompute="full", bytes=FP32_BYTES)
    one, many = (
        training_memory(
            Architecture("small", (each,)), workload, policy, Recipe("plain", 4, 4, 0, ()), Mesh()
        ).activations
        for each in (stack, replace(stack, runs=(four,)))
    )
    assert many - one == 3 * 3 * STREAM * FP32_BYTES


def test_dropout_keeps_masks_of_a_byte() -> None:
    workload, mesh = Workload(batch=B, seq=Q, mode="train"), Mesh()
    sizes = [
        sum(size for _, size in saved_tensors(Architecture("small", (decoder(Mlp(D, F)),)), workload, policy, mesh))
        for policy in (ActivationPolicy(), ActivationPolicy(dropout=True, residual_dropout=True))
    ]
    assert sizes[1] - sizes[0] == 3 * STREAM  # of the residual branches


def test_a_product_with_a_constant_table_saves_nothing() -> None:
    workload = Workload(batch=B, seq=Q, mode="train")
    stack = decoder(Attention(D, H, G, E, score_bias="projected"))
    rule = ActivationPolicy(attention="eager", bytes=FP32_BYTES, scan="fused")
    found = saved_tensors(Architecture("small", (stack,)), workload, rule, Mesh())
    assert found
    assert not [name for name, _ in found if "sinusoids" in name]
