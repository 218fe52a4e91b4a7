"""Evolla: LLaMA's names, and those of what reads a protein and looks at it."""

from .beside import beside
from .llama import PREFIX
from .llama import TEXT as LLAMA

__all__ = ["PREFIX", "TEXT"]

TEXT = LLAMA + beside("protein_encoder", "model.protein_encoder.") + beside("adapters", "model.layers.")
