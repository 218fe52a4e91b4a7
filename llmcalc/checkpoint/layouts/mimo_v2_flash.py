"""MiMo-V2-Flash: GLM-4.5's layout; a name of its own, since it was published under other names."""

from .glm4_moe import TEXT

__all__ = ["TEXT"]
