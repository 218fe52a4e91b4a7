"""OpenELM: queries, keys and values in one matrix, gate and up in another."""

PREFIX = "transformer."

TEXT = """
transformer.token_embeddings.weight <- token.w
transformer.layers.{i}.attn_norm.weight <- sublayer0.pre_norm.w
transformer.layers.{i}.attn.qkv_proj.weight <- attention.wq attention.wk attention.wv
transformer.layers.{i}.attn.q_norm.weight <- attention.q_norm
transformer.layers.{i}.attn.k_norm.weight <- attention.k_norm
transformer.layers.{i}.attn.out_proj.weight <- attention.wo
transformer.layers.{i}.ffn_norm.weight <- sublayer1.pre_norm.w
transformer.layers.{i}.ffn.proj_1.weight <- mlp.wg mlp.wu
transformer.layers.{i}.ffn.proj_2.weight <- mlp.wd
transformer.norm.weight <- norm.w
lm_head.weight <- head.w
"""
