"""gpt-oss: experts stored as [expert, in, out], with biases."""

from .llama import ATTENTION, NORMS, OUTER

TEXT = (
    OUTER
    + NORMS
    + ATTENTION
    + """
model.layers.{i}.mlp.router.weight <- moe.router
model.layers.{i}.mlp.router.bias <- moe.router_b
model.layers.{i}.mlp.experts.gate_up_proj <- moe.wg moe.wu | transposed entries
model.layers.{i}.mlp.experts.gate_up_proj_bias <- moe.bg moe.bu | entries
model.layers.{i}.mlp.experts.down_proj <- moe.wd | transposed
model.layers.{i}.mlp.experts.down_proj_bias <- moe.bd
"""
)
