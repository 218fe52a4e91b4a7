"""Aya Vision's projector behind SigLIP's tower."""

from .clip import ENCODER, PROJECTOR, PROJECTORS

TEXT = (
    f"""
{PROJECTOR}.layernorm.weight <- projector_norm.w
{PROJECTOR}.layernorm.bias <- projector_norm.b
"""
    + ENCODER
    + PROJECTORS
)
