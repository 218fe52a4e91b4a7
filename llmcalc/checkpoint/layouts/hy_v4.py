"""Hunyuan 4: DeepSeek-V3.2's names, sinks, a gate, and streams."""

from .deepseek_v32 import TEXT as INDEXED

LAYER = "model.layers.{i}"
STREAMS = f"""
{LAYER}.attn_hc.fn <- attention/hyper_connection.fn
{LAYER}.attn_hc.base <- attention/hyper_connection.base
{LAYER}.attn_hc.scale <- attention/hyper_connection.scale
{LAYER}.ffn_hc.fn <- mlp/hyper_connection.fn
{LAYER}.ffn_hc.base <- mlp/hyper_connection.base
{LAYER}.ffn_hc.scale <- mlp/hyper_connection.scale
{LAYER}.input_layernorm.weight <- attention/attention_pre_norm.w
{LAYER}.post_attention_layernorm.weight <- mlp/mlp_pre_norm.w
model.hc_head.hc_fn <- streams.fn
model.hc_head.hc_base <- streams.base
model.hc_head.hc_scale <- streams.scale
"""
TEXT = (
    INDEXED
    + STREAMS
    + f"""
{LAYER}.self_attn.sinks <- mla.sinks
{LAYER}.self_attn.gate_proj.weight <- mla.wgate
"""
)
