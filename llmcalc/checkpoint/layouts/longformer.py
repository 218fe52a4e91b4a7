"""Longformer: RoBERTa with a second set of projections for global tokens."""

from .attention_of_kind import attention
from .bert import ENCODER
from .roberta import HEAD

GLOBAL = """
{m}.encoder.layer.{i}.attention.self.query_global.weight <- local_attention.wq_global
{m}.encoder.layer.{i}.attention.self.query_global.bias <- local_attention.bq_global
{m}.encoder.layer.{i}.attention.self.key_global.weight <- local_attention.wk_global
{m}.encoder.layer.{i}.attention.self.key_global.bias <- local_attention.bk_global
{m}.encoder.layer.{i}.attention.self.value_global.weight <- local_attention.wv_global
{m}.encoder.layer.{i}.attention.self.value_global.bias <- local_attention.bv_global
"""
PREFIX = "longformer."
TEXT = (GLOBAL + attention("local_attention") + ENCODER).replace("{m}.", PREFIX) + HEAD
