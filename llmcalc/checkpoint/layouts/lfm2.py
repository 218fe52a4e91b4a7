"""LFM2: gated short convolutions and attention; the last norm is called that of the embedding."""

from .llama import ATTENTION

PREFIX = "model."

ATTENTION = (
    ATTENTION.replace("o_proj", "out_proj")
    .replace("q_norm.weight", "q_layernorm.weight")
    .replace("k_norm.weight", "k_layernorm.weight")
)
OUTER = """
model.embed_tokens.weight <- token.w
model.embedding_norm.weight <- norm.w
lm_head.weight <- head.w
model.layers.{i}.operator_norm.weight <- sublayer0.pre_norm.w
model.layers.{i}.ffn_norm.weight <- sublayer1.pre_norm.w
model.layers.{i}.feed_forward.w1.weight <- mlp.wg
model.layers.{i}.feed_forward.w3.weight <- mlp.wu
model.layers.{i}.feed_forward.w2.weight <- mlp.wd
model.layers.{i}.feed_forward.gate.weight <- moe.router
model.layers.{i}.feed_forward.expert_bias <- moe.correction
model.layers.{i}.feed_forward.experts.gate_up_proj <- moe.wg moe.wu
model.layers.{i}.feed_forward.experts.down_proj <- moe.wd
"""
CONV = """
model.layers.{i}.conv.in_proj.weight <- short_conv.w_B short_conv.w_C short_conv.wx
model.layers.{i}.conv.in_proj.bias <- short_conv.b_B short_conv.b_C short_conv.bx
model.layers.{i}.conv.conv.weight <- short_conv.conv
model.layers.{i}.conv.conv.bias <- short_conv.conv_b
model.layers.{i}.conv.out_proj.weight <- short_conv.wo
model.layers.{i}.conv.out_proj.bias <- short_conv.bo
"""
TEXT = OUTER + ATTENTION + CONV
