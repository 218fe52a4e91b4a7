"""DiffLLaMA: LLaMA, with four vectors a layer that make a pair of heads' share."""

from .llama import ATTENTION, MLP, NORMS, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

TEXT = (
    OUTER
    + NORMS
    + MLP
    + ATTENTION.replace(" attention.", " differential_attention.")
    + """
model.layers.{i}.self_attn.lambda_q1 <- differential_attention.lambda_q1
model.layers.{i}.self_attn.lambda_k1 <- differential_attention.lambda_k1
model.layers.{i}.self_attn.lambda_q2 <- differential_attention.lambda_q2
model.layers.{i}.self_attn.lambda_k2 <- differential_attention.lambda_k2
"""
)
