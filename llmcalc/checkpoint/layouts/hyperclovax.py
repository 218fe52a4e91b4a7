"""HyperCLOVA X: LLaMA's names and two further norms."""

from .llama import ATTENTION, MLP, NORMS, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

TEXT = (
    OUTER
    + NORMS
    + ATTENTION
    + MLP
    + """
model.layers.{i}.post_norm1.weight <- sublayer0.post_norm.w
model.layers.{i}.post_norm2.weight <- sublayer1.post_norm.w
"""
)
