"""InstructBLIP's Q-Former, which reads an instruction, too."""

from .blip_2 import ALL, BEHIND, NORM, QFORMER
from .blip_2 import TEXT as BLIP

__all__ = ["ALL", "BEHIND", "TEXT"]

TEXT = (
    BLIP.replace(NORM, f"{QFORMER}.embeddings.layernorm")
    + f"""
{QFORMER}.embeddings.word_embeddings.weight <- instruction.w
{QFORMER}.embeddings.position_embeddings.weight <- instruction_position.w
"""
)
