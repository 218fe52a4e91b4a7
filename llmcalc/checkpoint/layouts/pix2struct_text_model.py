"""Pix2Struct's text decoder."""

PREFIX = "decoder."
LAYER = f"{PREFIX}layer.{{i}}"
OWN = f"{LAYER}.self_attention"
CROSS = f"{LAYER}.encoder_decoder_attention"
TEXT = f"""
{PREFIX}embed_tokens.weight <- token.w
{OWN}.attention.query.weight <- attention.wq
{OWN}.attention.key.weight <- attention.wk
{OWN}.attention.value.weight <- attention.wv
{OWN}.attention.output.weight <- attention.wo
{OWN}.attention.relative_attention_bias.weight <- attention.relative_bias
{OWN}.layer_norm.weight <- attention.pre_norm.w
{CROSS}.attention.query.weight <- cross_attention.wq
{CROSS}.attention.key.weight <- cross_attention.wk
{CROSS}.attention.value.weight <- cross_attention.wv
{CROSS}.attention.output.weight <- cross_attention.wo
{CROSS}.layer_norm.weight <- cross_attention.pre_norm.w
{LAYER}.mlp.DenseReluDense.wi_0.weight <- mlp.wg
{LAYER}.mlp.DenseReluDense.wi_1.weight <- mlp.wu
{LAYER}.mlp.DenseReluDense.wo.weight <- mlp.wd
{LAYER}.mlp.layer_norm.weight <- mlp.pre_norm.w
{PREFIX}final_layer_norm.weight <- norm.w
{PREFIX}lm_head.weight <- head.w
"""
