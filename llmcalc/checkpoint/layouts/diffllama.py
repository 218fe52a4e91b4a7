"""DiffLLaMA: LLaMA, with four vectors a layer that make a pair of heads' share."""

from .llama import PREFIX, with_attention

__all__ = ["PREFIX", "TEXT"]

TEXT = (
    with_attention("differential_attention")
    + """
model.layers.{i}.self_attn.lambda_q1 <- differential_attention.lambda_q1
model.layers.{i}.self_attn.lambda_k1 <- differential_attention.lambda_k1
model.layers.{i}.self_attn.lambda_q2 <- differential_attention.lambda_q2
model.layers.{i}.self_attn.lambda_k2 <- differential_attention.lambda_k2
"""
)
