"""RoBERTa: BERT's encoder under another name, its head flattened."""

from .bert import ENCODER

HEAD = """
lm_head.bias <- head.unused_b0
lm_head.dense.weight <- transform.w
lm_head.dense.bias <- transform.b
lm_head.layer_norm.weight <- transform_norm.w
lm_head.layer_norm.bias <- transform_norm.b
lm_head.decoder.weight <- head.w
lm_head.bias <- head.b | tied
lm_head.decoder.bias <- head.b | untied
"""
PREFIX = "roberta."
TEXT = ENCODER.replace("{m}.", PREFIX) + HEAD
