"""Gemma 2 and 3: LLaMA's names with four norms a layer."""

from .llama import ATTENTION, MLP, OUTER

NORMS = """
model.layers.{i}.input_layernorm.weight <- sublayer0.pre_norm.w
model.layers.{i}.post_attention_layernorm.weight <- sublayer0.post_norm.w
model.layers.{i}.pre_feedforward_layernorm.weight <- sublayer1.pre_norm.w
model.layers.{i}.post_feedforward_layernorm.weight <- sublayer1.post_norm.w
"""
TEXT = OUTER + NORMS + ATTENTION + MLP
