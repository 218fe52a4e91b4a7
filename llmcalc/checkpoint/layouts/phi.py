"""Phi-1 to Phi-2: LLaMA's outer names, one norm a block."""

PREFIX = "model."
TEXT = """
model.embed_tokens.weight <- token.w
model.layers.{i}.input_layernorm.weight <- sublayer0.pre_norm.w
model.layers.{i}.input_layernorm.bias <- sublayer0.pre_norm.b
model.layers.{i}.self_attn.q_proj.weight <- attention.wq
model.layers.{i}.self_attn.q_proj.bias <- attention.bq
model.layers.{i}.self_attn.k_proj.weight <- attention.wk
model.layers.{i}.self_attn.k_proj.bias <- attention.bk
model.layers.{i}.self_attn.v_proj.weight <- attention.wv
model.layers.{i}.self_attn.v_proj.bias <- attention.bv
model.layers.{i}.self_attn.dense.weight <- attention.wo
model.layers.{i}.self_attn.dense.bias <- attention.bo
model.layers.{i}.self_attn.q_layernorm.weight <- attention.q_norm
model.layers.{i}.self_attn.q_layernorm.bias <- attention.q_norm_b
model.layers.{i}.self_attn.k_layernorm.weight <- attention.k_norm
model.layers.{i}.self_attn.k_layernorm.bias <- attention.k_norm_b
model.layers.{i}.mlp.fc1.weight <- mlp.wu
model.layers.{i}.mlp.fc1.bias <- mlp.bu
model.layers.{i}.mlp.fc2.weight <- mlp.wd
model.layers.{i}.mlp.fc2.bias <- mlp.bd
model.final_layernorm.weight <- norm.w
model.final_layernorm.bias <- norm.b
lm_head.weight <- head.w
lm_head.bias <- head.b
"""
