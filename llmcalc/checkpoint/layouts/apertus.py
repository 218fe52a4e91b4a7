"""Apertus: norms named for what they precede, and the activation's two numbers."""

from .llama import ATTENTION, MLP, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

TEXT = (
    OUTER
    + ATTENTION
    + MLP
    + """
model.layers.{i}.attention_layernorm.weight <- sublayer0.pre_norm.w
model.layers.{i}.feedforward_layernorm.weight <- sublayer1.pre_norm.w
model.layers.{i}.mlp.act_fn.alpha_p <- mlp.alpha_p
model.layers.{i}.mlp.act_fn.alpha_n <- mlp.alpha_n
"""
)
