"""DeBERTa: BERT with queries, keys and values fused, and projections of relative positions."""

from .bert import ENCODER, HEAD

SHARED = """
{m}.embeddings.embed_proj.weight <- projection.w
{m}.encoder.rel_embeddings.weight <- disentangled_attention.table
{m}.encoder.layer.{i}.attention.output.dense.weight <- disentangled_attention.wo
{m}.encoder.layer.{i}.attention.output.dense.bias <- disentangled_attention.bo
{m}.encoder.layer.{i}.attention.output.LayerNorm.weight <- disentangled_attention.norm.w
{m}.encoder.layer.{i}.attention.output.LayerNorm.bias <- disentangled_attention.norm.b
"""
NEWER_HEAD = """
lm_predictions.lm_head.bias <- lm_head.b
lm_predictions.lm_head.dense.weight <- lm_transform.w
lm_predictions.lm_head.dense.bias <- lm_transform.b
lm_predictions.lm_head.LayerNorm.weight <- lm_transform_norm.w
lm_predictions.lm_head.LayerNorm.bias <- lm_transform_norm.b
"""
ATTENTION = """
{m}.encoder.layer.{i}.attention.self.in_proj.weight <- disentangled_attention.wq disentangled_attention.wk disentangled_attention.wv | heads
{m}.encoder.layer.{i}.attention.self.q_bias <- disentangled_attention.bq
{m}.encoder.layer.{i}.attention.self.v_bias <- disentangled_attention.bv
{m}.encoder.layer.{i}.attention.self.pos_proj.weight <- disentangled_attention.wrk
{m}.encoder.layer.{i}.attention.self.pos_q_proj.weight <- disentangled_attention.wrq
{m}.encoder.layer.{i}.attention.self.pos_q_proj.bias <- disentangled_attention.brq
"""
PREFIX = "deberta."
TEXT = (ATTENTION + SHARED + ENCODER).replace("{m}.", PREFIX) + HEAD + NEWER_HEAD
