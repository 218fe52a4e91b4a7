"""OPT, and with other outer names BioGPT and XGLM: fairseq's names of a decoder layer."""

PREFIX = "model."
BLOCK = """
{m}.embed_tokens.weight <- token.w
{m}.layers.{i}.self_attn.q_proj.weight <- attention.wq
{m}.layers.{i}.self_attn.q_proj.bias <- attention.bq
{m}.layers.{i}.self_attn.k_proj.weight <- attention.wk
{m}.layers.{i}.self_attn.k_proj.bias <- attention.bk
{m}.layers.{i}.self_attn.v_proj.weight <- attention.wv
{m}.layers.{i}.self_attn.v_proj.bias <- attention.bv
{m}.layers.{i}.self_attn.out_proj.weight <- attention.wo
{m}.layers.{i}.self_attn.out_proj.bias <- attention.bo
{m}.layers.{i}.fc1.weight <- mlp.wu
{m}.layers.{i}.fc1.bias <- mlp.bu
{m}.layers.{i}.fc2.weight <- mlp.wd
{m}.layers.{i}.fc2.bias <- mlp.bd
"""
NORMS = """
{m}.layers.{i}.self_attn_layer_norm.weight <- attention.{place}.w
{m}.layers.{i}.self_attn_layer_norm.bias <- attention.{place}.b
{m}.layers.{i}.encoder_attn_layer_norm.weight <- cross_attention.{place}.w
{m}.layers.{i}.encoder_attn_layer_norm.bias <- cross_attention.{place}.b
{m}.layers.{i}.final_layer_norm.weight <- mlp.{place}.w
{m}.layers.{i}.final_layer_norm.bias <- mlp.{place}.b
"""
OUTER = """
{m}.embed_positions.weight <- position.w
{m}.project_in.weight <- project_in.w
{m}.project_out.weight <- project_out.w
{m}.final_layer_norm.weight <- norm.w
{m}.final_layer_norm.bias <- norm.b
lm_head.weight <- head.w
"""
_BLOCKS = BLOCK + NORMS.replace("{place}", "pre_norm") + NORMS.replace("{place}", "norm")
TEXT = (_BLOCKS + OUTER).replace("{m}", "model.decoder")
