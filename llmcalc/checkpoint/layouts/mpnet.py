"""MPNet: RoBERTa with short names in its attention, and one table of relative biases."""

from .bert import ENCODER
from .roberta import HEAD

ATTENTION = """
{m}.encoder.layer.{i}.attention.attn.q.weight <- attention.wq
{m}.encoder.layer.{i}.attention.attn.k.weight <- attention.wk
{m}.encoder.layer.{i}.attention.attn.v.weight <- attention.wv
{m}.encoder.layer.{i}.attention.attn.o.weight <- attention.wo
{m}.encoder.layer.{i}.attention.attn.q.bias <- attention.bq
{m}.encoder.layer.{i}.attention.attn.k.bias <- attention.bk
{m}.encoder.layer.{i}.attention.attn.v.bias <- attention.bv
{m}.encoder.layer.{i}.attention.attn.o.bias <- attention.bo
{m}.encoder.layer.{i}.attention.LayerNorm.weight <- attention.norm.w
{m}.encoder.layer.{i}.attention.LayerNorm.bias <- attention.norm.b
{m}.encoder.relative_attention_bias.weight <- attention.relative_bias
"""
PREFIX = "mpnet."
TEXT = (ATTENTION + ENCODER).replace("{m}.", PREFIX) + HEAD
