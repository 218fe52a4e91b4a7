"""XGLM: OPT's blocks, with cross-attention."""

from .opt import BLOCK, NORMS

PREFIX = "model."
_CROSS = "\n".join(
    line.replace("self_attn", "encoder_attn").replace("<- attention", "<- cross_attention")
    for line in BLOCK.splitlines()
    if "self_attn" in line
)
_OUTER = """
{m}.layer_norm.weight <- norm.w
{m}.layer_norm.bias <- norm.b
lm_head.weight <- head.w
"""
TEXT = (BLOCK + _CROSS + NORMS.replace("{place}", "pre_norm") + _OUTER).replace("{m}", "model")
