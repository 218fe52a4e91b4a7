"""LFM3: LFM2's convolutions, norms behind each sub-layer, a gate per head."""

from .lfm2 import CONV, OUTER
from .llama import ATTENTION

PREFIX = "model."

TEXT = (
    OUTER
    + ATTENTION
    + CONV
    + """
model.layers.{i}.self_attn.g_proj.weight <- attention.wgate
model.layers.{i}.post_operator_norm.weight <- sublayer0.post_norm.w
model.layers.{i}.post_ffn_norm.weight <- sublayer1.post_norm.w
"""
)
