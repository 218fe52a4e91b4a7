"""Megatron-BERT: BERT with its norms before the sub-layers."""

from .bert import PREFIX, pre_norms
from .bert import TEXT as BERT

__all__ = ["PREFIX", "TEXT"]

TEXT = pre_norms("bert.encoder", "ln", "ln") + BERT
