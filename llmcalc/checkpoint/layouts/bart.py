"""BART and its kin: both stacks under ``model``, one shared table; norms before or behind the sub-layers."""

OUTER = """
model.decoder.embed_tokens.weight <- token.w | alone
model.shared.weight <- token.w | tied
model.{side}.embed_tokens.weight <- token.w | untied
model.shared.weight <- unused.w
model.decoder.embed_tokens.weight <- target.w
model.{side}.embed_positions.weight <- position.w
model.{side}.layernorm_embedding.weight <- norm.w
model.{side}.layernorm_embedding.bias <- norm.b
model.{side}.layer_norm.weight <- final_norm.w
model.{side}.layer_norm.bias <- final_norm.b
lm_head.weight <- head.w
final_logits_bias <- head.buffer_b | row
"""
ATTENTION = """
model.{side}.layers.{i}.self_attn.q_proj.weight <- attention.wq
model.{side}.layers.{i}.self_attn.k_proj.weight <- attention.wk
model.{side}.layers.{i}.self_attn.v_proj.weight <- attention.wv
model.{side}.layers.{i}.self_attn.out_proj.weight <- attention.wo
model.{side}.layers.{i}.self_attn.q_proj.bias <- attention.bq
model.{side}.layers.{i}.self_attn.k_proj.bias <- attention.bk
model.{side}.layers.{i}.self_attn.v_proj.bias <- attention.bv
model.{side}.layers.{i}.self_attn.out_proj.bias <- attention.bo
"""
CROSS = ATTENTION.replace("self_attn", "encoder_attn").replace("<- ", "<- cross_")
MLP = """
model.{side}.layers.{i}.fc1.weight <- mlp.wu
model.{side}.layers.{i}.fc1.bias <- mlp.bu
model.{side}.layers.{i}.fc2.weight <- mlp.wd
model.{side}.layers.{i}.fc2.bias <- mlp.bd
"""
_POST = """
model.{side}.layers.{i}.self_attn_layer_norm.weight <- attention/norm.w
model.{side}.layers.{i}.self_attn_layer_norm.bias <- attention/norm.b
model.{side}.layers.{i}.encoder_attn_layer_norm.weight <- cross_attention/norm.w
model.{side}.layers.{i}.encoder_attn_layer_norm.bias <- cross_attention/norm.b
model.{side}.layers.{i}.final_layer_norm.weight <- mlp/norm.w
model.{side}.layers.{i}.final_layer_norm.bias <- mlp/norm.b
"""
NORMS = _POST + _POST.replace("/norm.", "/pre_norm.")
PREFIX = "model."
TEXT = OUTER + ATTENTION + CROSS + MLP + NORMS
