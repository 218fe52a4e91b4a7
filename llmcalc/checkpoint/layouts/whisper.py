"""Whisper: BART's names, with convolutions before the encoder and a token table in the decoder alone."""

from . import bart

_OWN = """
model.decoder.embed_tokens.weight <- token.w
model.encoder.conv1.weight <- conv1.w
model.encoder.conv1.bias <- conv1.b
model.encoder.conv2.weight <- conv2.w
model.encoder.conv2.bias <- conv2.b
proj_out.weight <- head.w
"""
PREFIX = bart.PREFIX
TEXT = _OWN + bart.TEXT
