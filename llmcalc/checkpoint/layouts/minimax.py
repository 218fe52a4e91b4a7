"""MiniMax-Text-01: Mixtral's names, and lightning attention with queries, keys and values in one matrix."""

from .mixtral import TEXT as MIXTRAL

LINEAR = "model.layers.{i}.self_attn"
TEXT = (
    MIXTRAL
    + f"""
{LINEAR}.qkv_proj.weight <- lightning_attention.wq lightning_attention.wk lightning_attention.wv | heads
{LINEAR}.output_gate.weight <- lightning_attention.wgate
{LINEAR}.norm.weight <- lightning_attention.norm
{LINEAR}.out_proj.weight <- lightning_attention.wo
"""
)
