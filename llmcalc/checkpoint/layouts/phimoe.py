"""Phi-3.5-MoE: LayerNorms with biases, a head with one."""

from .llama import ATTENTION, NORMS, OUTER

TEXT = (
    OUTER
    + NORMS
    + ATTENTION
    + """
model.layers.{i}.input_layernorm.bias <- sublayer0.pre_norm.b
model.layers.{i}.post_attention_layernorm.bias <- sublayer1.pre_norm.b
model.norm.bias <- norm.b
lm_head.bias <- head.b
model.layers.{i}.mlp.router.weight <- moe.router
model.layers.{i}.mlp.experts.gate_up_proj <- moe.wg moe.wu
model.layers.{i}.mlp.experts.down_proj <- moe.wd
"""
)
