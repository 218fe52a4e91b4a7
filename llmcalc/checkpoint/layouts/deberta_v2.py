"""DeBERTa-v2: BERT with projections, a norm and a convolution of its own."""

from .bert import ENCODER, HEAD
from .deberta import NEWER_HEAD, PREFIX, SHARED

ATTENTION = """
{m}.encoder.layer.{i}.attention.self.query_proj.weight <- disentangled_attention.wq
{m}.encoder.layer.{i}.attention.self.query_proj.bias <- disentangled_attention.bq
{m}.encoder.layer.{i}.attention.self.key_proj.weight <- disentangled_attention.wk
{m}.encoder.layer.{i}.attention.self.key_proj.bias <- disentangled_attention.bk
{m}.encoder.layer.{i}.attention.self.value_proj.weight <- disentangled_attention.wv
{m}.encoder.layer.{i}.attention.self.value_proj.bias <- disentangled_attention.bv
{m}.encoder.layer.{i}.attention.self.pos_key_proj.weight <- disentangled_attention.wrk
{m}.encoder.layer.{i}.attention.self.pos_key_proj.bias <- disentangled_attention.brk
{m}.encoder.layer.{i}.attention.self.pos_query_proj.weight <- disentangled_attention.wrq
{m}.encoder.layer.{i}.attention.self.pos_query_proj.bias <- disentangled_attention.brq
{m}.encoder.LayerNorm.weight <- disentangled_attention.table_norm
{m}.encoder.LayerNorm.bias <- disentangled_attention.table_norm_b
{m}.encoder.LayerNorm.weight <- relative_norm.w
{m}.encoder.LayerNorm.bias <- relative_norm.b
{m}.encoder.conv.conv.weight <- conv.w
{m}.encoder.conv.conv.bias <- conv.b
{m}.encoder.conv.LayerNorm.weight <- conv.norm.w
{m}.encoder.conv.LayerNorm.bias <- conv.norm.b
"""
TEXT = (ATTENTION + SHARED + ENCODER).replace("{m}.", PREFIX) + HEAD + NEWER_HEAD
__all__ = ["PREFIX", "TEXT"]
