"""XLM-R XL: RoBERTa with its norms before the sub-layers."""

from .roberta import PREFIX
from .roberta import TEXT as ROBERTA

TEXT = (
    """
roberta.encoder.layer.{i}.attention.self_attn_layer_norm.weight <- attention.pre_norm.w
roberta.encoder.layer.{i}.attention.self_attn_layer_norm.bias <- attention.pre_norm.b
roberta.encoder.layer.{i}.crossattention.self_attn_layer_norm.weight <- cross_attention.pre_norm.w
roberta.encoder.layer.{i}.crossattention.self_attn_layer_norm.bias <- cross_attention.pre_norm.b
roberta.encoder.layer.{i}.LayerNorm.weight <- mlp.pre_norm.w
roberta.encoder.layer.{i}.LayerNorm.bias <- mlp.pre_norm.b
roberta.encoder.LayerNorm.weight <- final_norm.w
roberta.encoder.LayerNorm.bias <- final_norm.b
"""
    + ROBERTA
)
__all__ = ["PREFIX", "TEXT"]
