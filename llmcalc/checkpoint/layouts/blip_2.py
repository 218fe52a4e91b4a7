"""BLIP-2's tower and Q-Former, before a language model with its head."""

from .clip import by_kind, encoder

BEHIND, ALL = "language_model.", True
VISION, QFORMER = "vision_model", "qformer"
LAYER = f"{QFORMER}.encoder.layer.{{i}}"
NORM = f"{QFORMER}.layernorm"
TOWER = f"""
{VISION}.embeddings.class_embedding <- class.w | tower row
{VISION}.embeddings.position_embedding <- position.w | tower row
{VISION}.encoder.layers.{{i}}.self_attn.qkv.weight <- attention.wq attention.wk attention.wv | tower
{VISION}.encoder.layers.{{i}}.self_attn.qkv.bias <- attention.bq attention.bk attention.bv | tower
{VISION}.encoder.layers.{{i}}.self_attn.projection.weight <- attention.wo | tower
{VISION}.encoder.layers.{{i}}.self_attn.projection.bias <- attention.bo | tower
""" + by_kind(encoder(VISION))
QUERIES = f"""
query_tokens <- queries.w | row
{NORM}.weight <- query_norm.w
{NORM}.bias <- query_norm.b
{LAYER}.attention.attention.query.weight <- own/query_attention.wq
{LAYER}.attention.attention.query.bias <- own/query_attention.bq
{LAYER}.attention.attention.key.weight <- own/query_attention.wk
{LAYER}.attention.attention.key.bias <- own/query_attention.bk
{LAYER}.attention.attention.value.weight <- own/query_attention.wv
{LAYER}.attention.attention.value.bias <- own/query_attention.bv
{LAYER}.attention.output.dense.weight <- own/query_attention.wo
{LAYER}.attention.output.dense.bias <- own/query_attention.bo
{LAYER}.attention.output.LayerNorm.weight <- own/norm.w
{LAYER}.attention.output.LayerNorm.bias <- own/norm.b
{LAYER}.crossattention.attention.query.weight <- seen/query_attention.wq
{LAYER}.crossattention.attention.query.bias <- seen/query_attention.bq
{LAYER}.crossattention.attention.key.weight <- seen/query_attention.wk
{LAYER}.crossattention.attention.key.bias <- seen/query_attention.bk
{LAYER}.crossattention.attention.value.weight <- seen/query_attention.wv
{LAYER}.crossattention.attention.value.bias <- seen/query_attention.bv
{LAYER}.crossattention.output.dense.weight <- seen/query_attention.wo
{LAYER}.crossattention.output.dense.bias <- seen/query_attention.bo
{LAYER}.crossattention.output.LayerNorm.weight <- seen/norm.w
{LAYER}.crossattention.output.LayerNorm.bias <- seen/norm.b
{LAYER}.intermediate_query.dense.weight <- asked/mlp.wu
{LAYER}.intermediate_query.dense.bias <- asked/mlp.bu
{LAYER}.output_query.dense.weight <- asked/mlp.wd
{LAYER}.output_query.dense.bias <- asked/mlp.bd
{LAYER}.output_query.LayerNorm.weight <- asked/norm.w
{LAYER}.output_query.LayerNorm.bias <- asked/norm.b
{LAYER}.intermediate.dense.weight <- told/mlp.wu
{LAYER}.intermediate.dense.bias <- told/mlp.bu
{LAYER}.output.dense.weight <- told/mlp.wd
{LAYER}.output.dense.bias <- told/mlp.bd
{LAYER}.output.LayerNorm.weight <- told/norm.w
{LAYER}.output.LayerNorm.bias <- told/norm.b
language_projection.weight <- projector.w
language_projection.bias <- projector.b
"""
TEXT = QUERIES + TOWER
