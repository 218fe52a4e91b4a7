"""TorToiSe's decoder of codes of speech."""

PREFIX = "model."
BLOCK = "model.decoder.layers.{i}"
TEXT = f"""
model.decoder.input_embeds_layer.weight <- token.w
model.decoder.position_embeds_layer.weight <- position.w
{BLOCK}.input_layernorm.weight <- attention.pre_norm.w
{BLOCK}.input_layernorm.bias <- attention.pre_norm.b
{BLOCK}.attn.k_proj.weight <- attention.wk
{BLOCK}.attn.k_proj.bias <- attention.bk
{BLOCK}.attn.v_proj.weight <- attention.wv
{BLOCK}.attn.v_proj.bias <- attention.bv
{BLOCK}.attn.q_proj.weight <- attention.wq
{BLOCK}.attn.q_proj.bias <- attention.bq
{BLOCK}.attn.out_proj.weight <- attention.wo
{BLOCK}.attn.out_proj.bias <- attention.bo
{BLOCK}.post_attention_layernorm.weight <- mlp.pre_norm.w
{BLOCK}.post_attention_layernorm.bias <- mlp.pre_norm.b
{BLOCK}.mlp.c_fc.weight <- mlp.wu | transposed
{BLOCK}.mlp.c_fc.bias <- mlp.bu
{BLOCK}.mlp.c_proj.weight <- mlp.wd | transposed
{BLOCK}.mlp.c_proj.bias <- mlp.bd
model.decoder.layer_norm.weight <- norm.w
model.decoder.layer_norm.bias <- norm.b
final_norm.weight <- final_norm.w
final_norm.bias <- final_norm.b
lm_head.weight <- head.w
lm_head.bias <- head.b
"""
