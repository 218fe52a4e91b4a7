"""CodeGen: GPT-J's names, with queries, values and keys in one matrix."""

from .gptj import OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

TEXT = (
    OUTER
    + """
transformer.h.{i}.attn.qkv_proj.weight <- attention.wq attention.wv attention.wk | quarters
"""
)
