"""Nomic BERT: BERT's tables and head around LLaMA's names."""

from .bert import ENCODER
from .bert import HEAD as BERT_HEAD
from .llama import ATTENTION, MLP

NORMS = """
{m}.layers.{i}.post_attention_layernorm.weight <- attention.norm.w
{m}.layers.{i}.post_attention_layernorm.bias <- attention.norm.b
{m}.layers.{i}.post_mlp_layernorm.weight <- mlp.norm.w
{m}.layers.{i}.post_mlp_layernorm.bias <- mlp.norm.b
"""
BLOCKS = NORMS + (ATTENTION + MLP).replace("model.", "{m}.") + ENCODER
HEAD = BERT_HEAD.replace("LayerNorm", "layer_norm")
PREFIX = "nomic_bert."
TEXT = BLOCKS.replace("{m}.", PREFIX) + HEAD
