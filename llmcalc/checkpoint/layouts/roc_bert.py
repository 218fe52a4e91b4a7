"""RoCBert: BERT with tables of pronunciations and shapes."""

from .bert import ENCODER, HEAD

TABLES = """
{m}.embeddings.pronunciation_embed.weight <- pronunciation.w
{m}.embeddings.shape_embed.weight <- shape.w
{m}.embeddings.map_inputs_layer.weight <- join.w
{m}.embeddings.map_inputs_layer.bias <- join.b
"""
PREFIX = "roc_bert."
TEXT = (ENCODER + TABLES).replace("{m}.", PREFIX) + HEAD
