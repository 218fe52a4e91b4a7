"""VaultGemma: Gemma 2's names of the two norms that it keeps."""

from .llama import ATTENTION, MLP, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

TEXT = (
    OUTER
    + ATTENTION
    + MLP
    + """
model.layers.{i}.input_layernorm.weight <- sublayer0.pre_norm.w
model.layers.{i}.pre_feedforward_layernorm.weight <- sublayer1.pre_norm.w
"""
)
