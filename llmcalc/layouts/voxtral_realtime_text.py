"""Voxtral Realtime's language model: LLaMA's names, and those of the norms that a delay scales."""

from .llama import PREFIX
from .llama import TEXT as LLAMA

__all__ = ["PREFIX", "TEXT"]

TEXT = (
    LLAMA
    + """
model.layers.{i}.post_attention_layernorm.weight <- conditioned_norm.w
model.layers.{i}.ada_rms_norm.linear1.weight <- conditioned_norm.w_in
model.layers.{i}.ada_rms_norm.linear2.weight <- conditioned_norm.w_out
"""
)
