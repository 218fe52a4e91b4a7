"""Chameleon: LLaMA's names, with biases of the norms on heads; norms stand where ``swin_norm`` says."""

from .beside import beside
from .llama import ATTENTION, MLP, NORMS, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

BIASES = """
model.layers.{i}.self_attn.q_norm.bias <- attention.q_norm_b
model.layers.{i}.self_attn.k_norm.bias <- attention.k_norm_b
"""
TEXT = (
    OUTER
    + NORMS
    + NORMS.replace("pre_norm", "post_norm")
    + ATTENTION
    + BIASES
    + MLP
    + beside("vqmodel", "model.vqmodel.")
)
