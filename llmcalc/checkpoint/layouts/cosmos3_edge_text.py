"""Cosmos 3 Edge's language model: LLaMA's names, and a feed-forward layer whose matrices are numbered."""

from .llama import ATTENTION, MLP, NORMS, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

TEXT = OUTER + NORMS + ATTENTION + MLP.replace("up_proj", "fc1").replace("down_proj", "fc2")
