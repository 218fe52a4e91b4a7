"""DBRX: queries, keys and values in one matrix, experts below each other."""

BLOCK = "transformer.blocks.{i}"
TEXT = f"""
transformer.wte.weight <- token.w
transformer.norm_f.weight <- norm.w
lm_head.weight <- head.w
{BLOCK}.norm_attn_norm.norm_1.weight <- sublayer0.pre_norm.w
{BLOCK}.norm_attn_norm.norm_2.weight <- sublayer1.pre_norm.w
{BLOCK}.norm_attn_norm.attn.Wqkv.weight <- attention.wq attention.wk attention.wv
{BLOCK}.norm_attn_norm.attn.out_proj.weight <- attention.wo
{BLOCK}.ffn.router.layer.weight <- moe.router
{BLOCK}.ffn.experts.mlp.w1 <- moe.wg | folded
{BLOCK}.ffn.experts.mlp.v1 <- moe.wu | folded
{BLOCK}.ffn.experts.mlp.w2 <- moe.wd | transposed folded
"""
