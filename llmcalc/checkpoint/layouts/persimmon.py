"""Persimmon: GPT-NeoX's matrices under LLaMA's outer names."""

from . import gpt_neox

PREFIX = "model."
TEXT = (
    gpt_neox.TEXT.replace(gpt_neox.PREFIX, PREFIX)
    .replace("embed_in", "embed_tokens")
    .replace("final_layer_norm", "final_layernorm")
    .replace(".attention.query", ".self_attn.query")
    .replace(".attention.dense", ".self_attn.dense")
    + """
model.layers.{i}.self_attn.q_layernorm.weight <- attention.q_norm
model.layers.{i}.self_attn.q_layernorm.bias <- attention.q_norm_b
model.layers.{i}.self_attn.k_layernorm.weight <- attention.k_norm
model.layers.{i}.self_attn.k_layernorm.bias <- attention.k_norm_b
"""
)
