"""MusicGen's decoder: BART's names, with a table and a head for each codebook."""

from . import bart

PREFIX = bart.PREFIX
TEXT = (
    """
model.decoder.embed_tokens.{x}.weight <- token.w
model.decoder.embed_positions.weights <- position.w
lm_heads.{x}.weight <- head.w
"""
    + bart.TEXT
)
