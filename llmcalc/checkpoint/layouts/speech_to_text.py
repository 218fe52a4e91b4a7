"""Speech2Text: BART's names, with convolutions before the encoder and a token table in the decoder alone."""

from . import bart

_OWN = """
model.decoder.embed_tokens.weight <- token.w
model.encoder.conv.conv_layers.{t}.weight <- conv.w
model.encoder.conv.conv_layers.{t}.bias <- conv.b
"""
PREFIX = bart.PREFIX
TEXT = _OWN + bart.TEXT
