"""DeepSeek-V3.2, GLM-5, A.X K1 and K2: latent attention with an indexer, norms behind experts, gated norms."""

from .deepseek_v3 import TEXT as LATENT

INDEXER = """
model.layers.{i}.self_attn.indexer.wq_b.weight <- mla.indexer.wq
model.layers.{i}.self_attn.indexer.wk.weight <- mla.indexer.wk
model.layers.{i}.self_attn.indexer.k_norm.weight <- mla.indexer.k_norm
model.layers.{i}.self_attn.indexer.k_norm.bias <- mla.indexer.k_norm_b
model.layers.{i}.self_attn.indexer.weights_proj.weight <- mla.indexer.ww
"""
TEXT = (
    LATENT
    + INDEXER
    + """
model.layers.{i}.mlp.post_mlp_layernorm.weight <- moe.post_norm.w
"""
)
