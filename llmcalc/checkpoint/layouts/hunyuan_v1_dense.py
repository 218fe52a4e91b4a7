"""Hunyuan: LLaMA's names but for the norms on queries and keys."""

from .llama import ATTENTION, MLP, NORMS, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

TEXT = (
    (OUTER + NORMS + ATTENTION + MLP)
    .replace("q_norm.weight", "query_layernorm.weight")
    .replace("k_norm.weight", "key_layernorm.weight")
)
