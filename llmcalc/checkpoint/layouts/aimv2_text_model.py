"""AIMv2's text tower."""

PREFIX = "text_model."
LAYER = f"{PREFIX}encoder.layers.{{i}}"
TEXT = f"""
{PREFIX}embeddings.token_embedding.weight <- token.w
{PREFIX}embeddings.position_embedding.weight <- position.w
{LAYER}.attention.q_proj.weight <- attention.wq
{LAYER}.attention.q_proj.bias <- attention.bq
{LAYER}.attention.k_proj.weight <- attention.wk
{LAYER}.attention.k_proj.bias <- attention.bk
{LAYER}.attention.v_proj.weight <- attention.wv
{LAYER}.attention.v_proj.bias <- attention.bv
{LAYER}.attention.out_proj.weight <- attention.wo
{LAYER}.attention.out_proj.bias <- attention.bo
{LAYER}.rms_norm1.weight <- attention.pre_norm.w
{LAYER}.rms_norm2.weight <- mlp.pre_norm.w
{LAYER}.ffn.gate_proj.weight <- mlp.wg
{LAYER}.ffn.gate_proj.bias <- mlp.bg
{LAYER}.ffn.up_proj.weight <- mlp.wu
{LAYER}.ffn.up_proj.bias <- mlp.bu
{LAYER}.ffn.down_proj.weight <- mlp.wd
{LAYER}.ffn.down_proj.bias <- mlp.bd
{PREFIX}rms_norm.weight <- final_norm.w
"""
