"""Qwen3.5: Qwen3-Next with the projections of its delta nets in four matrices."""

from .qwen3_next import TEXT as NEXT

LINEAR = "model.layers.{i}.linear_attn"
TEXT = (
    f"""
{LINEAR}.in_proj_qkv.weight <- gated_delta_net.wq gated_delta_net.wk gated_delta_net.wv
{LINEAR}.in_proj_z.weight <- gated_delta_net.wz
{LINEAR}.in_proj_b.weight <- gated_delta_net.wb
{LINEAR}.in_proj_a.weight <- gated_delta_net.wa
"""
    + NEXT
)
