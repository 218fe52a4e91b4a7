"""BLIP-2's Q-Former, which has no tables."""

from .blip_2_qformer import PREFIX
from .blip_2_qformer import TEXT as QFORMER

__all__ = ["PREFIX", "TEXT"]

TEXT = QFORMER.replace(f"{PREFIX}embeddings.layernorm", f"{PREFIX}layernorm")
