"""GPT-1: GPT-2's block with the norms behind the sub-layers."""

from .gpt2 import BLOCK, NORMS

TEXT = (
    BLOCK
    + NORMS.replace("{place}", "norm")
    + """
transformer.tokens_embed.weight <- token.w
transformer.positions_embed.weight <- position.w
lm_head.weight <- head.w
"""
)
