"""UltraBERT: LLaMA with a head of three matrices."""

from .llama import PREFIX
from .llama import TEXT as LLAMA

HEAD = """
head.linear1.weight <- down.w
head.linear2.weight <- up.w
head.decoder.weight <- head.w
"""
TEXT = HEAD + LLAMA
__all__ = ["PREFIX", "TEXT"]
