"""MiniMax-M2: Mixtral's layout; a name of its own, since it was published under other names."""

from .mixtral import TEXT

__all__ = ["TEXT"]
