"""InstructBLIP for films: as for images."""

from .instructblip import ALL, BEHIND, TEXT

__all__ = ["ALL", "BEHIND", "TEXT"]
