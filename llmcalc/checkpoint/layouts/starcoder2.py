"""StarCoder 2: LLaMA's names but for the two matrices of the feed-forward layer."""

from .llama import ATTENTION, NORMS, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

TEXT = (
    OUTER
    + NORMS
    + ATTENTION
    + """
model.layers.{i}.mlp.c_fc.weight <- mlp.wu
model.layers.{i}.mlp.c_fc.bias <- mlp.bu
model.layers.{i}.mlp.c_proj.weight <- mlp.wd
model.layers.{i}.mlp.c_proj.bias <- mlp.bd
"""
)
