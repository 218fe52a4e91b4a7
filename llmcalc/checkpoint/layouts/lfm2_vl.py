"""LFM2-VL's projector behind SigLIP 2's tower."""

from .clip import ENCODER, PROJECTOR, PROJECTORS

TEXT = (
    f"""
{PROJECTOR}.layer_norm.weight <- projector_norm.w
{PROJECTOR}.layer_norm.bias <- projector_norm.b
"""
    + ENCODER
    + PROJECTORS
)
