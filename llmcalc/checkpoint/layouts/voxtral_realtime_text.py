"""Voxtral Realtime's language model: LLaMA's names, and a network that makes factors of the delay."""

from . import llama

PREFIX = llama.PREFIX
TEXT = (
    llama.TEXT
    + """
model.layers.{i}.ada_rms_norm.linear1.weight <- modulation.w1
model.layers.{i}.ada_rms_norm.linear2.weight <- modulation.w2
"""
)
