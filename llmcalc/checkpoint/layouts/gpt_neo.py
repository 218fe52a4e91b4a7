"""GPT-Neo: GPT-2's names with separate projections, stored as [out, in]."""

from .gpt2 import NORMS, OUTER

PREFIX = "transformer."
TEXT = (
    OUTER
    + NORMS.replace("{place}", "pre_norm")
    + """
transformer.h.{i}.attn.attention.q_proj.weight <- attention.wq
transformer.h.{i}.attn.attention.k_proj.weight <- attention.wk
transformer.h.{i}.attn.attention.v_proj.weight <- attention.wv
transformer.h.{i}.attn.attention.out_proj.weight <- attention.wo
transformer.h.{i}.attn.attention.out_proj.bias <- attention.bo
transformer.h.{i}.mlp.c_fc.weight <- mlp.wu
transformer.h.{i}.mlp.c_fc.bias <- mlp.bu
transformer.h.{i}.mlp.c_proj.weight <- mlp.wd
transformer.h.{i}.mlp.c_proj.bias <- mlp.bd
"""
)
