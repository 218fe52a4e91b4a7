"""Megatron-BERT: BERT with its norms before the sub-layers."""

from .bert import PREFIX
from .bert import TEXT as BERT

TEXT = (
    """
bert.encoder.layer.{i}.attention.ln.weight <- attention.pre_norm.w
bert.encoder.layer.{i}.attention.ln.bias <- attention.pre_norm.b
bert.encoder.layer.{i}.crossattention.ln.weight <- cross_attention.pre_norm.w
bert.encoder.layer.{i}.crossattention.ln.bias <- cross_attention.pre_norm.b
bert.encoder.layer.{i}.ln.weight <- mlp.pre_norm.w
bert.encoder.layer.{i}.ln.bias <- mlp.pre_norm.b
bert.encoder.ln.weight <- final_norm.w
bert.encoder.ln.bias <- final_norm.b
"""
    + BERT
)
__all__ = ["PREFIX", "TEXT"]
