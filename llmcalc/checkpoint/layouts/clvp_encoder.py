"""CLVP's encoders of texts and of speech."""

PREFIX = ""
TEXT = """
token_embedding.weight <- token.w
layers.{i}.self_attn.q_proj.weight <- attention.wq
layers.{i}.self_attn.q_proj.bias <- attention.bq
layers.{i}.self_attn.k_proj.weight <- attention.wk
layers.{i}.self_attn.k_proj.bias <- attention.bk
layers.{i}.self_attn.v_proj.weight <- attention.wv
layers.{i}.self_attn.v_proj.bias <- attention.bv
layers.{i}.self_attn.out_proj.weight <- attention.wo
layers.{i}.self_attn.out_proj.bias <- attention.bo
layers.{i}.mlp.fc1.proj.weight <- mlp.wu mlp.wg
layers.{i}.mlp.fc1.proj.bias <- mlp.bu mlp.bg
layers.{i}.mlp.fc2.weight <- mlp.wd
layers.{i}.mlp.fc2.bias <- mlp.bd
layers.{i}.input_rmsnorm.weight <- attention.pre_norm.w
layers.{i}.post_attention_rmsnorm.weight <- mlp.pre_norm.w
final_layer_norm.weight <- final_norm.w
final_layer_norm.bias <- final_norm.b
projection.weight <- projection.w
"""
