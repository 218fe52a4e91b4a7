"""T5: sub-layers numbered within a block, the relative bias in the first block of each stack."""

ATTENTION = """
{side}.block.{i}.layer.{s}.SelfAttention.q.weight <- attention.wq
{side}.block.{i}.layer.{s}.SelfAttention.k.weight <- attention.wk
{side}.block.{i}.layer.{s}.SelfAttention.v.weight <- attention.wv
{side}.block.{i}.layer.{s}.SelfAttention.o.weight <- attention.wo
{side}.block.{i}.layer.{s}.SelfAttention.relative_attention_bias.weight <- attention.relative_bias
{side}.block.{i}.layer.{s}.EncDecAttention.q.weight <- cross_attention.wq
{side}.block.{i}.layer.{s}.EncDecAttention.k.weight <- cross_attention.wk
{side}.block.{i}.layer.{s}.EncDecAttention.v.weight <- cross_attention.wv
{side}.block.{i}.layer.{s}.EncDecAttention.o.weight <- cross_attention.wo
{side}.block.{i}.layer.{s}.layer_norm.weight <- sublayer0.pre_norm.w
{side}.block.{i}.layer.{s}.layer_norm.weight <- sublayer1.pre_norm.w
{side}.block.{i}.layer.{s}.layer_norm.weight <- sublayer2.pre_norm.w
{side}.final_layer_norm.weight <- norm.w
"""
OUTER = """
shared.weight <- token.w | tied
{side}.embed_tokens.weight <- token.w | untied
shared.weight <- unused.w
mel_conditioner.embedding.weight <- composer.w
lm_head.weight <- head.w
"""
TEXT = (
    ATTENTION
    + OUTER
    + """
{side}.block.{i}.layer.{s}.DenseReluDense.wi_0.weight <- mlp.wg
{side}.block.{i}.layer.{s}.DenseReluDense.wi_1.weight <- mlp.wu | gated
{side}.block.{i}.layer.{s}.DenseReluDense.wi.weight <- mlp.wu | plain
{side}.block.{i}.layer.{s}.DenseReluDense.wo.weight <- mlp.wd
"""
)
