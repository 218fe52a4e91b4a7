"""Llama 3.2 Vision's language model: layers that look at an image have gates, and another name for the attention."""

from .llama import ATTENTION, MLP, NORMS, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

TEXT = (
    OUTER
    + NORMS
    + MLP
    + ATTENTION
    + ATTENTION.replace(".self_attn.", ".cross_attn.").replace(" attention.", " cross_attention.")
    + """
model.layers.{i}.input_layernorm.weight <- cross_attention.pre_norm.w
model.layers.{i}.cross_attn_attn_gate <- cross_attention/scale.w
model.layers.{i}.cross_attn_mlp_gate <- mlp/scale.w
"""
)
