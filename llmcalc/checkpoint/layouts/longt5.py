"""LongT5: T5's names, with local attention in the encoder."""

from .t5 import TEXT as T5

LOCAL = """
{side}.block.{i}.layer.{s}.LocalSelfAttention.q.weight <- attention/block_attention.wq
{side}.block.{i}.layer.{s}.LocalSelfAttention.k.weight <- attention/block_attention.wk
{side}.block.{i}.layer.{s}.LocalSelfAttention.v.weight <- attention/block_attention.wv
{side}.block.{i}.layer.{s}.LocalSelfAttention.o.weight <- attention/block_attention.wo
{side}.block.{i}.layer.{s}.LocalSelfAttention.relative_attention_bias.weight <- attention/block_attention.relative_bias
"""
GLOBAL = (
    LOCAL.replace("Local", "TransientGlobal").replace("<- ", "<- global_")
    + """
{side}.block.{i}.layer.{s}.TransientGlobalSelfAttention.global_relative_attention_bias.weight <- block_attention.summary_bias
{side}.block.{i}.layer.{s}.TransientGlobalSelfAttention.global_input_layer_norm.weight <- block_attention.summary_norm
"""
)
TEXT = T5 + LOCAL + GLOBAL
