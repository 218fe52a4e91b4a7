"""Dory: scales beside every projection, and no norm has a weight."""

from .llama import ATTENTION, MLP, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

TEXT = (
    OUTER
    + MLP
    + ATTENTION.replace(" attention.", " sphere_attention.")
    + """
lm_head.logit_scale <- head.scale
model.layers.{i}.self_attn.gate_proj.weight <- sphere_attention.wgate
model.layers.{i}.self_attn.sqk <- sphere_attention.q_scale
model.layers.{i}.self_attn.s_gate <- sphere_attention.gate_scale
model.layers.{i}.mlp.suv_gate <- mlp.scale_g
model.layers.{i}.mlp.suv_up <- mlp.scale_u
model.layers.{i}.lambda_1 <- attention/scale.w
model.layers.{i}.lambda_2 <- mlp/scale.w
"""
)
