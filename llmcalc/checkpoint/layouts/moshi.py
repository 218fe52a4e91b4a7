"""Moshi: LLaMA's names, a level deeper, with gate and up in one matrix."""

from .llama import ATTENTION, NORMS, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

MLP = """
model.layers.{i}.mlp.fc1.weight <- mlp.wg mlp.wu
model.layers.{i}.mlp.fc2.weight <- mlp.wd
"""
TEXT = OUTER + NORMS + ATTENTION.replace("_proj.weight", "_proj.linear.weight") + MLP
