"""OLMo 2 and 3, EXAONE 4: LLaMA's names, the norms behind the sub-layers."""

from .llama import ATTENTION, MLP, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

TEXT = (
    OUTER
    + ATTENTION
    + MLP
    + """
model.layers.{i}.post_attention_layernorm.weight <- sublayer0.post_norm.w
model.layers.{i}.post_feedforward_layernorm.weight <- sublayer1.post_norm.w
"""
)
