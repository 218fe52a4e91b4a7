"""Text towers of CLIP and SigLIP."""

PREFIX = "text_model."
LAYER = f"{PREFIX}encoder.layers.{{i}}"
TEXT = f"""
{PREFIX}embeddings.token_embedding.weight <- token.w
{PREFIX}embeddings.position_embedding.weight <- position.w
{LAYER}.self_attn.q_proj.weight <- attention.wq
{LAYER}.self_attn.q_proj.bias <- attention.bq
{LAYER}.self_attn.k_proj.weight <- attention.wk
{LAYER}.self_attn.k_proj.bias <- attention.bk
{LAYER}.self_attn.v_proj.weight <- attention.wv
{LAYER}.self_attn.v_proj.bias <- attention.bv
{LAYER}.self_attn.out_proj.weight <- attention.wo
{LAYER}.self_attn.out_proj.bias <- attention.bo
{LAYER}.layer_norm1.weight <- sublayer0.pre_norm.w
{LAYER}.layer_norm1.bias <- sublayer0.pre_norm.b
{LAYER}.layer_norm2.weight <- sublayer1.pre_norm.w
{LAYER}.layer_norm2.bias <- sublayer1.pre_norm.b
{LAYER}.mlp.fc1.weight <- mlp.wu
{LAYER}.mlp.fc1.bias <- mlp.bu
{LAYER}.mlp.fc2.weight <- mlp.wd
{LAYER}.mlp.fc2.bias <- mlp.bd
{PREFIX}final_layer_norm.weight <- final_norm.w
{PREFIX}final_layer_norm.bias <- final_norm.b
{PREFIX}head.weight <- head.w
{PREFIX}head.bias <- head.b
text_projection.weight <- projection.w
"""
