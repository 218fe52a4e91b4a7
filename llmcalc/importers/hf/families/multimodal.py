"""Vision-language models whose readers are in ``composite_models``."""

from ..composite_models import gemma4, kimi_k3, kimi_k25, qwen3_vl

__all__ = ["gemma4", "kimi_k3", "kimi_k25", "qwen3_vl"]
