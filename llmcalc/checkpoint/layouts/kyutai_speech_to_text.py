"""Kyutai's speech to text: Moshi's names, a table a level deeper, and a codec."""

from .beside import mimi
from .moshi import PREFIX
from .moshi import TEXT as MOSHI

__all__ = ["PREFIX", "TEXT"]

TEXT = MOSHI.replace("model.embed_tokens.weight", "model.embed_tokens.embed_tokens.weight")
TEXT += mimi("codec_model")
