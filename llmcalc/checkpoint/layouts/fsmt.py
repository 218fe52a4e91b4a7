"""FSMT: BART's names, the head within the decoder."""

from . import bart

PREFIX = bart.PREFIX
TEXT = (
    """
model.encoder.embed_tokens.weight <- token.w
model.decoder.output_projection.weight <- head.w
"""
    + bart.TEXT
).replace("model.encoder.embed_tokens.weight <- token.w", "model.{side}.embed_tokens.weight <- token.w")
