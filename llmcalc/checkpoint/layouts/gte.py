"""GTE: Nomic's names, and RoBERTa's head with one bias."""

from .nomic_bert import BLOCKS

HEAD = """
lm_head.dense.weight <- transform.w
lm_head.dense.bias <- transform.b
lm_head.layer_norm.weight <- transform_norm.w
lm_head.layer_norm.bias <- transform_norm.b
lm_head.decoder.weight <- head.w
lm_head.decoder.bias <- head.b
"""
PREFIX = "gte."
TEXT = BLOCKS.replace("{m}.", PREFIX) + HEAD
