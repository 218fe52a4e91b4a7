"""GPT-J."""

PREFIX = "transformer."
OUTER = """
transformer.wte.weight <- token.w
transformer.h.{i}.ln_1.weight <- sublayer0.pre_norm.w
transformer.h.{i}.ln_1.bias <- sublayer0.pre_norm.b
transformer.h.{i}.attn.out_proj.weight <- attention.wo
transformer.h.{i}.mlp.fc_in.weight <- mlp.wu
transformer.h.{i}.mlp.fc_in.bias <- mlp.bu
transformer.h.{i}.mlp.fc_out.weight <- mlp.wd
transformer.h.{i}.mlp.fc_out.bias <- mlp.bd
transformer.ln_f.weight <- norm.w
transformer.ln_f.bias <- norm.b
lm_head.weight <- head.w
lm_head.bias <- head.b
"""
TEXT = (
    OUTER
    + """
transformer.h.{i}.attn.q_proj.weight <- attention.wq
transformer.h.{i}.attn.k_proj.weight <- attention.wk
transformer.h.{i}.attn.v_proj.weight <- attention.wv
"""
)
