"""Muse Glimmer: Gemma 2's names, and gates of attention."""

from .gemma2 import NORMS
from .llama import ATTENTION, MLP, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

GATE = """
model.layers.{i}.self_attn.gate_proj.weight <- attention.wgate
"""
TEXT = OUTER + NORMS + ATTENTION + GATE + MLP
