"""dots.note: DeepSeek-V3.2's names, a gate on each head, a norm on the rotary key."""

from .deepseek_v32 import TEXT as INDEXED

TEXT = (
    INDEXED
    + """
model.layers.{i}.self_attn.g_proj.weight <- mla.wgate
model.layers.{i}.self_attn.k_rope_only_layernorm.weight <- mla.kr_norm
"""
)
