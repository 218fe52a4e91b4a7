"""Qwen3-Omni's thinker, and what speaks beside it; the talker's table has a name of its own."""

from .thinker import ALL, BEHIND, text

__all__ = ["ALL", "BEHIND", "TEXT"]

TEXT = text("model.codec_embedding")
