"""Mixtral and Qwen-MoE: all experts of a layer in two tensors, gate and up side by side."""

from .llama import ATTENTION, MLP, NORMS, OUTER

EXPERTS = """
model.layers.{i}.mlp.gate.weight <- moe.router
model.layers.{i}.mlp.gate.e_score_correction_bias <- moe.correction
model.layers.{i}.mlp.e_score_correction_bias <- moe.correction
model.layers.{i}.mlp.gate.tid2eid <- moe.hash
model.layers.{i}.mlp.experts.gate_up_proj <- moe.wg moe.wu
model.layers.{i}.mlp.experts.down_proj <- moe.wd
"""
TEXT = OUTER + NORMS + ATTENTION + MLP + EXPERTS
