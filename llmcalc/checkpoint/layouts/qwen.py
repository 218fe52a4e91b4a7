"""The first Qwen: GPT-2's names, queries, keys and values in one matrix; ``w2`` is the gate."""

PREFIX = "transformer."

TEXT = """
transformer.wte.weight <- token.w
transformer.h.{i}.ln_1.weight <- sublayer0.pre_norm.w
transformer.h.{i}.attn.c_attn.weight <- attention.wq attention.wk attention.wv
transformer.h.{i}.attn.c_attn.bias <- attention.bq attention.bk attention.bv
transformer.h.{i}.attn.c_proj.weight <- attention.wo
transformer.h.{i}.ln_2.weight <- sublayer1.pre_norm.w
transformer.h.{i}.mlp.w1.weight <- mlp.wu
transformer.h.{i}.mlp.w2.weight <- mlp.wg
transformer.h.{i}.mlp.c_proj.weight <- mlp.wd
transformer.ln_f.weight <- norm.w
lm_head.weight <- head.w
"""
