"""Muse Spark: Muse Glimmer's names, experts between projections, and gates of both sides of a sum."""

from .mixtral import EXPERTS
from .muse_glimmer_text import TEXT as GLIMMER

PREFIX = "model."
MORE = """
model.layers.{i}.post_attention_residual_gate.gate <- attention/scale.w
model.layers.{i}.post_feedforward_residual_gate.gate <- mlp/scale.w
model.layers.{i}.mlp.pre_expert_proj.weight <- moe.w_in
model.layers.{i}.mlp.pre_expert_norm.weight <- moe.norm_in
model.layers.{i}.mlp.post_expert_proj.weight <- moe.w_out
model.layers.{i}.mlp.experts.post_expert_norm.weight <- moe.norm_out
"""
TEXT = GLIMMER + EXPERTS + MORE
