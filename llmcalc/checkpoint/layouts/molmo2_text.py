"""Molmo 2: LLaMA's names, whose norms may stand behind the sub-layers."""

from .llama import ATTENTION, MLP, NORMS, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

TEXT = OUTER + NORMS + NORMS.replace("pre_norm", "post_norm") + ATTENTION + MLP
