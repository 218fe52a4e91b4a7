"""Qwen3.5-MoE: Qwen3.5's layout; a name of its own, since it was published under other names."""

from .qwen3_5 import TEXT

__all__ = ["TEXT"]
