"""GPT-2: queries, keys and values in one matrix, and matrices stored as [in, out]."""

OUTER = """
transformer.wte.weight <- token.w
transformer.wpe.weight <- position.w
transformer.ln_f.weight <- norm.w
transformer.ln_f.bias <- norm.b
lm_head.weight <- head.w
"""
BLOCK = """
transformer.h.{i}.attn.c_attn.weight <- attention.wq attention.wk attention.wv | transposed
transformer.h.{i}.attn.c_attn.bias <- attention.bq attention.bk attention.bv
transformer.h.{i}.attn.c_proj.weight <- attention.wo | transposed
transformer.h.{i}.attn.c_proj.bias <- attention.bo
transformer.h.{i}.crossattention.q_attn.weight <- cross_attention.wq | transposed
transformer.h.{i}.crossattention.q_attn.bias <- cross_attention.bq
transformer.h.{i}.crossattention.c_attn.weight <- cross_attention.wk cross_attention.wv | transposed
transformer.h.{i}.crossattention.c_attn.bias <- cross_attention.bk cross_attention.bv
transformer.h.{i}.crossattention.c_proj.weight <- cross_attention.wo | transposed
transformer.h.{i}.crossattention.c_proj.bias <- cross_attention.bo
transformer.h.{i}.mlp.c_fc.weight <- mlp.wu | transposed
transformer.h.{i}.mlp.c_fc.bias <- mlp.bu
transformer.h.{i}.mlp.c_proj.weight <- mlp.wd | transposed
transformer.h.{i}.mlp.c_proj.bias <- mlp.bd
"""
NORMS = """
transformer.h.{i}.ln_1.weight <- attention.{place}.w
transformer.h.{i}.ln_1.bias <- attention.{place}.b
transformer.h.{i}.ln_cross_attn.weight <- cross_attention.{place}.w
transformer.h.{i}.ln_cross_attn.bias <- cross_attention.{place}.b
transformer.h.{i}.ln_2.weight <- mlp.{place}.w
transformer.h.{i}.ln_2.bias <- mlp.{place}.b
"""
TEXT = OUTER + BLOCK + NORMS.replace("{place}", "pre_norm")
