"""GPT-NeoX: queries, keys and values in one matrix; two norms a block, whether its halves run in turn or side by side."""

from .bloom import BLOCK

PREFIX = "gpt_neox."
TEXT = (
    BLOCK.replace("transformer.h.", "gpt_neox.layers.").replace(".self_attention.", ".attention.")
    + """
gpt_neox.embed_in.weight <- token.w
gpt_neox.layers.{i}.input_layernorm.weight <- sublayer0.attention_pre_norm.w
gpt_neox.layers.{i}.input_layernorm.bias <- sublayer0.attention_pre_norm.b
gpt_neox.layers.{i}.post_attention_layernorm.weight <- sublayer0.mlp_pre_norm.w
gpt_neox.layers.{i}.post_attention_layernorm.bias <- sublayer0.mlp_pre_norm.b
gpt_neox.final_layer_norm.weight <- norm.w
gpt_neox.final_layer_norm.bias <- norm.b
lm_head.weight <- head.w
"""
)
