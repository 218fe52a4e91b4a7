"""Baichuan: LLaMA's names, queries, keys and values in one matrix."""

from .llama import MLP, NORMS, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

ATTENTION = """
model.layers.{i}.self_attn.W_pack.weight <- attention.wq attention.wk attention.wv
model.layers.{i}.self_attn.o_proj.weight <- attention.wo
"""
TEXT = OUTER + NORMS + ATTENTION + MLP
