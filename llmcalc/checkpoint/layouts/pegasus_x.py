"""PEGASUS-X: PEGASUS's names, with global tokens in the encoder."""

from . import bart

_OWN = """
model.encoder.embed_global.weight <- global.w
model.encoder.layers.{i}.self_attn.q_proj.weight <- block_attention.wq
model.encoder.layers.{i}.self_attn.k_proj.weight <- block_attention.wk
model.encoder.layers.{i}.self_attn.v_proj.weight <- block_attention.wv
model.encoder.layers.{i}.self_attn.out_proj.weight <- block_attention.wo
model.encoder.layers.{i}.global_self_attn_layer_norm.weight <- block_attention.global_norm
model.encoder.layers.{i}.global_self_attn_layer_norm.bias <- block_attention.global_norm_b
"""
PREFIX = bart.PREFIX
TEXT = bart.TEXT + _OWN
