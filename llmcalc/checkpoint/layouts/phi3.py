"""Phi-3: LLaMA's names with queries, keys and values in one matrix, and gate and up in one."""

from .llama import NORMS, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

FUSED_MLP = """
model.layers.{i}.mlp.gate_up_proj.weight <- mlp.wg mlp.wu
model.layers.{i}.mlp.down_proj.weight <- mlp.wd
"""
TEXT = (
    OUTER
    + NORMS
    + FUSED_MLP
    + """
model.layers.{i}.self_attn.qkv_proj.weight <- attention.wq attention.wk attention.wv
model.layers.{i}.self_attn.o_proj.weight <- attention.wo
"""
)
