"""nanochat: LLaMA's names without norms; a feed-forward layer of two matrices."""

from .llama import ATTENTION, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

TEXT = (
    OUTER
    + ATTENTION
    + """
model.layers.{i}.mlp.fc1.weight <- mlp.wu
model.layers.{i}.mlp.fc2.weight <- mlp.wd
"""
)
