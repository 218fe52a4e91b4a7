"""ERNIE 4.5 VL: experts for text and for images side by side."""

from .deepseek_v3 import SHARED
from .llama import ATTENTION, MLP, NORMS, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

EXPERTS = """
model.layers.{i}.mlp.{n}.gate.weight <- moe.router
model.layers.{i}.mlp.{n}.gate.moe_statics.e_score_correction_bias <- moe.correction | row
model.layers.{i}.mlp.{n}.experts.gate_up_proj <- moe.wg moe.wu
model.layers.{i}.mlp.{n}.experts.down_proj <- moe.wd
"""
TEXT = OUTER + NORMS + ATTENTION + MLP + EXPERTS + SHARED
