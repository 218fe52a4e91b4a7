"""ModernBERT as a decoder: queries, keys and values apart, and the head under another name."""

from .modernbert import PREFIX
from .modernbert import TEXT as MODERNBERT

OWN = """
model.layers.{i}.attn.q_proj.weight <- attention.wq
model.layers.{i}.attn.q_proj.bias <- attention.bq
model.layers.{i}.attn.k_proj.weight <- attention.wk
model.layers.{i}.attn.k_proj.bias <- attention.bk
model.layers.{i}.attn.v_proj.weight <- attention.wv
model.layers.{i}.attn.v_proj.bias <- attention.bv
"""
TEXT = OWN + MODERNBERT.replace("\nhead.", "\nlm_head.")
__all__ = ["PREFIX", "TEXT"]
