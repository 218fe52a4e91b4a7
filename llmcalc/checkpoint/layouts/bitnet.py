"""BitNet: LLaMA's names and the norms inside attention and feed-forward layer."""

from .llama import ATTENTION, MLP, NORMS, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

TEXT = (
    OUTER
    + NORMS
    + ATTENTION
    + MLP
    + """
model.layers.{i}.self_attn.attn_sub_norm.weight <- attention.o_norm
model.layers.{i}.mlp.ffn_sub_norm.weight <- mlp.norm
"""
)
