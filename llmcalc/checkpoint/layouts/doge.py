"""Doge: what makes the mask beside the projections, scales of the residual, experts as two tables."""

from .llama import PREFIX, with_attention

__all__ = ["PREFIX", "TEXT"]

TEXT = (
    with_attention("dynamic_attention")
    + """
model.layers.{i}.self_attn.A <- dynamic_attention.A
model.layers.{i}.self_attn.dt_proj.weight <- dynamic_attention.wdt
model.layers.{i}.self_attn.dt_proj.bias <- dynamic_attention.bdt
model.layers.{i}.input_residual <- attention/scale.w
model.layers.{i}.post_attention_residual <- mlp/scale.w
model.layers.{i}.mlp.router_gate.weight <- product_key_experts.router
model.layers.{i}.mlp.down_embed.weight <- product_key_experts.down
model.layers.{i}.mlp.up_embed.weight <- product_key_experts.up
"""
)
