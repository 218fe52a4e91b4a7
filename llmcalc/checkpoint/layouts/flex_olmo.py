"""FlexOlmo: norms behind the sub-layers."""

from .llama import ATTENTION, OUTER
from .mixtral import EXPERTS

TEXT = (
    OUTER
    + ATTENTION
    + EXPERTS
    + """
model.layers.{i}.post_attention_layernorm.weight <- sublayer0.post_norm.w
model.layers.{i}.post_feedforward_layernorm.weight <- sublayer1.post_norm.w
"""
)
