"""VideoPrism's text tower."""

PREFIX = "text_model."
LAYER = f"{PREFIX}layers.{{i}}"
TEXT = f"""
{PREFIX}embeddings.token_embedding.weight <- token.w
{PREFIX}embeddings.position_embedding <- position.w
{PREFIX}embeddings.cls_emb <- class.w | row
{LAYER}.attention.q_proj.weight <- attention.wq
{LAYER}.attention.q_proj.bias <- attention.bq
{LAYER}.attention.k_proj.weight <- attention.wk
{LAYER}.attention.k_proj.bias <- attention.bk
{LAYER}.attention.v_proj.weight <- attention.wv
{LAYER}.attention.v_proj.bias <- attention.bv
{LAYER}.attention.o_proj.weight <- attention.wo
{LAYER}.attention.o_proj.bias <- attention.bo
{LAYER}.layernorm_before.weight <- attention.pre_norm.w
{LAYER}.layernorm_before.bias <- attention.pre_norm.b
{LAYER}.layernorm_after.weight <- mlp.pre_norm.w
{LAYER}.layernorm_after.bias <- mlp.pre_norm.b
{LAYER}.mlp.fc1.weight <- mlp.wu
{LAYER}.mlp.fc1.bias <- mlp.bu
{LAYER}.mlp.fc2.weight <- mlp.wd
{LAYER}.mlp.fc2.bias <- mlp.bd
{PREFIX}layernorm.weight <- final_norm.w
{PREFIX}layernorm.bias <- final_norm.b
"""
