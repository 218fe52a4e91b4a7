"""Llama 4: experts stored as [expert, in, out]."""

from .llama import ATTENTION, MLP, NORMS, OUTER

TEXT = (
    OUTER
    + NORMS
    + ATTENTION
    + MLP.replace(".mlp.", ".feed_forward.")
    + """
model.layers.{i}.feed_forward.router.weight <- moe.router
model.layers.{i}.feed_forward.experts.gate_up_proj <- moe.wg moe.wu | transposed
model.layers.{i}.feed_forward.experts.down_proj <- moe.wd | transposed
model.layers.{i}.feed_forward.shared_expert.gate_proj.weight <- moe.shared.wg
model.layers.{i}.feed_forward.shared_expert.up_proj.weight <- moe.shared.wu
model.layers.{i}.feed_forward.shared_expert.down_proj.weight <- moe.shared.wd
"""
)
