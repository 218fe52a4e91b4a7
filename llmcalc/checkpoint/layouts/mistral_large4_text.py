"""Mistral Large 4: DeepSeek-V3.2's names, learned growth of queries and learned frequencies."""

from .deepseek_v32 import TEXT as INDEXED

PREFIX = "model."
MORE = """
model.rotary_emb.alpha <- mla.alpha
model.layers.{i}.self_attn.softmax_scaling.scale <- mla.q_scale
model.layers.{i}.self_attn.softmax_scaling.bias <- mla.q_shift
model.layers.{i}.self_attn.indexer.softmax_scaling.scale <- mla.indexer.q_scale
model.layers.{i}.self_attn.indexer.softmax_scaling.bias <- mla.indexer.q_shift
model.layers.{i}.self_attn.indexer.q_input_norm.weight <- mla.indexer.in_norm
model.layers.{i}.self_attn.indexer.q_input_norm.bias <- mla.indexer.in_norm_b
"""
TEXT = INDEXED + MORE
