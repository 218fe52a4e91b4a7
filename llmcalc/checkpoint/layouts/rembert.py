"""RemBERT: BERT behind a projection, with a wide head."""

from .bert import ENCODER

PREFIX = "rembert."
HEAD = """
rembert.encoder.embedding_hidden_mapping_in.weight <- projection.w
rembert.encoder.embedding_hidden_mapping_in.bias <- projection.b
cls.predictions.dense.weight <- transform.w
cls.predictions.dense.bias <- transform.b
cls.predictions.decoder.weight <- head.w
cls.predictions.decoder.bias <- head.b
cls.predictions.LayerNorm.weight <- transform_norm.w
cls.predictions.LayerNorm.bias <- transform_norm.b
"""
TEXT = ENCODER.replace("{m}.", PREFIX) + HEAD
