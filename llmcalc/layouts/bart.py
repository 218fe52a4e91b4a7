"""BART: both stacks under ``model``, one shared table."""

TEXT = """
model.shared.weight <- token.w | tied
model.{side}.embed_tokens.weight <- token.w | untied
model.shared.weight <- unused.w
model.{side}.embed_positions.weight <- position.w
model.{side}.layernorm_embedding.weight <- norm.w
model.{side}.layernorm_embedding.bias <- norm.b
model.{side}.layers.{i}.self_attn.q_proj.weight <- attention.wq
model.{side}.layers.{i}.self_attn.k_proj.weight <- attention.wk
model.{side}.layers.{i}.self_attn.v_proj.weight <- attention.wv
model.{side}.layers.{i}.self_attn.out_proj.weight <- attention.wo
model.{side}.layers.{i}.self_attn.q_proj.bias <- attention.bq
model.{side}.layers.{i}.self_attn.k_proj.bias <- attention.bk
model.{side}.layers.{i}.self_attn.v_proj.bias <- attention.bv
model.{side}.layers.{i}.self_attn.out_proj.bias <- attention.bo
model.{side}.layers.{i}.self_attn_layer_norm.weight <- attention.norm.w
model.{side}.layers.{i}.self_attn_layer_norm.bias <- attention.norm.b
model.{side}.layers.{i}.encoder_attn.q_proj.weight <- cross_attention.wq
model.{side}.layers.{i}.encoder_attn.k_proj.weight <- cross_attention.wk
model.{side}.layers.{i}.encoder_attn.v_proj.weight <- cross_attention.wv
model.{side}.layers.{i}.encoder_attn.out_proj.weight <- cross_attention.wo
model.{side}.layers.{i}.encoder_attn.q_proj.bias <- cross_attention.bq
model.{side}.layers.{i}.encoder_attn.k_proj.bias <- cross_attention.bk
model.{side}.layers.{i}.encoder_attn.v_proj.bias <- cross_attention.bv
model.{side}.layers.{i}.encoder_attn.out_proj.bias <- cross_attention.bo
model.{side}.layers.{i}.encoder_attn_layer_norm.weight <- cross_attention.norm.w
model.{side}.layers.{i}.encoder_attn_layer_norm.bias <- cross_attention.norm.b
model.{side}.layers.{i}.fc1.weight <- mlp.wu
model.{side}.layers.{i}.fc1.bias <- mlp.bu
model.{side}.layers.{i}.fc2.weight <- mlp.wd
model.{side}.layers.{i}.fc2.bias <- mlp.bd
model.{side}.layers.{i}.final_layer_norm.weight <- mlp.norm.w
model.{side}.layers.{i}.final_layer_norm.bias <- mlp.norm.b
lm_head.weight <- head.w
"""
