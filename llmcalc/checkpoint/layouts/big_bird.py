"""BigBird: BERT with a pooler of one matrix."""

from .attention_of_kind import attention
from .bert import ENCODER, HEAD

POOLER = """
{m}.pooler.weight <- pooler.w
{m}.pooler.bias <- pooler.b
"""
PREFIX = "bert."
TEXT = (POOLER + attention("sparse_attention") + ENCODER).replace("{m}.", PREFIX) + HEAD
