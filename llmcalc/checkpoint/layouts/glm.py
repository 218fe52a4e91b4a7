"""GLM-4: LLaMA's names, gate and up in one matrix; GLM-4-0414 has two further norms."""

from .llama import ATTENTION, NORMS, OUTER, PREFIX
from .phi3 import FUSED_MLP

__all__ = ["POST_NORMS", "PREFIX", "TEXT"]

POST_NORMS = """
model.layers.{i}.post_self_attn_layernorm.weight <- sublayer0.post_norm.w
model.layers.{i}.post_mlp_layernorm.weight <- sublayer1.post_norm.w
"""
TEXT = OUTER + NORMS + ATTENTION + FUSED_MLP + POST_NORMS
