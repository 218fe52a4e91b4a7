"""Falcon: BLOOM's names; where attention and MLP have a norm each, these say which."""

from .bloom import BLOCK, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

TEXT = (
    OUTER
    + BLOCK
    + """
transformer.h.{i}.ln_attn.weight <- sublayer0.attention_pre_norm.w
transformer.h.{i}.ln_attn.bias <- sublayer0.attention_pre_norm.b
transformer.h.{i}.ln_mlp.weight <- sublayer0.mlp_pre_norm.w
transformer.h.{i}.ln_mlp.bias <- sublayer0.mlp_pre_norm.b
"""
)
