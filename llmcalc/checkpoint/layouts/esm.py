"""ESM: BERT with its norms before the sub-layers and a head for contacts."""

from .bert import ENCODER

NORMS = """
{m}.embeddings.layer_norm.weight <- norm.w
{m}.embeddings.layer_norm.bias <- norm.b
{m}.encoder.layer.{i}.attention.LayerNorm.weight <- attention.pre_norm.w
{m}.encoder.layer.{i}.attention.LayerNorm.bias <- attention.pre_norm.b
{m}.encoder.layer.{i}.crossattention.LayerNorm.weight <- cross_attention.pre_norm.w
{m}.encoder.layer.{i}.crossattention.LayerNorm.bias <- cross_attention.pre_norm.b
{m}.encoder.layer.{i}.LayerNorm.weight <- mlp.pre_norm.w
{m}.encoder.layer.{i}.LayerNorm.bias <- mlp.pre_norm.b
{m}.encoder.emb_layer_norm_after.weight <- final_norm.w
{m}.encoder.emb_layer_norm_after.bias <- final_norm.b
{m}.contact_head.regression.weight <- contacts.w
{m}.contact_head.regression.bias <- contacts.b
"""
HEAD = """
lm_head.dense.weight <- transform.w
lm_head.dense.bias <- transform.b
lm_head.layer_norm.weight <- transform_norm.w
lm_head.layer_norm.bias <- transform_norm.b
lm_head.decoder.weight <- head.w
lm_head.bias <- head.b
"""
PREFIX = "esm."
TEXT = (NORMS + ENCODER).replace("{m}.", PREFIX) + HEAD
