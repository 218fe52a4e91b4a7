"""Kyutai's speech to text: Moshi's names, and a table a level deeper."""

from .moshi import PREFIX
from .moshi import TEXT as MOSHI

__all__ = ["PREFIX", "TEXT"]

TEXT = MOSHI.replace("model.embed_tokens.weight", "model.embed_tokens.embed_tokens.weight")
