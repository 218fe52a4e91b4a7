"""Beam: four norms a layer, a gate with a bias a head."""

from .gemma2 import NORMS
from .llama import ATTENTION, MLP, OUTER
from .mixtral import EXPERTS

TEXT = (
    OUTER
    + NORMS
    + ATTENTION
    + MLP
    + EXPERTS
    + """
model.layers.{i}.self_attn.gate_proj.weight <- attention.wgate
model.layers.{i}.self_attn.gate_bias <- attention.bgate
"""
)
