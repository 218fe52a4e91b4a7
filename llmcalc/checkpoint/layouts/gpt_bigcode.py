"""GPT-BigCode: GPT-2's names, stored as [out, in]."""

from .gpt2 import BLOCK, NORMS, OUTER

PREFIX = "transformer."
_LINES = BLOCK.replace(" | transposed", "").splitlines()
_FUSED = [line for line in _LINES if ".attn.c_attn." in line]
_PLACED = "\n".join(f"{line} | {words}" for words in ("single", "many heads") for line in _FUSED)
_REST = "\n".join(line for line in _LINES if line not in _FUSED)
TEXT = "\n".join((OUTER, _PLACED, _REST, NORMS.replace("{place}", "pre_norm")))
