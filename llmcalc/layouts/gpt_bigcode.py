"""GPT-BigCode: GPT-2's names, stored as [out, in]."""

from .gpt2 import BLOCK, NORMS, OUTER

PREFIX = "transformer."
TEXT = OUTER + BLOCK.replace(" | transposed", "") + NORMS.replace("{place}", "pre_norm")
