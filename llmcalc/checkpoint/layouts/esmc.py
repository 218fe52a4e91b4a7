"""ESM Cambrian: LLaMA's names, and GTE's head."""

from .gte import HEAD
from .llama import TEXT as LLAMA

PREFIX = "esmc."
NORM = "model.norm.weight <- final_norm.w\n"
TEXT = HEAD + (NORM + LLAMA).replace("model.", PREFIX)
