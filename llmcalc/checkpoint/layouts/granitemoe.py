"""Granite mixtures of experts: the shared layer's gate and up projections in one matrix."""

from .llama import ATTENTION, NORMS, OUTER

TEXT = (
    OUTER
    + NORMS
    + ATTENTION
    + """
model.layers.{i}.block_sparse_moe.router.weight <- moe.router
model.layers.{i}.block_sparse_moe.experts.gate_up_proj <- moe.wg moe.wu
model.layers.{i}.block_sparse_moe.experts.down_proj <- moe.wd
model.layers.{i}.shared_mlp.input_linear.weight <- moe.shared.wg moe.shared.wu
model.layers.{i}.shared_mlp.output_linear.weight <- moe.shared.wd
"""
)
