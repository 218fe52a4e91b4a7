"""Gemma 4's assistant: the language model between two projections."""

from .gemma4_text import TEXT as LANGUAGE

TEXT = (
    LANGUAGE
    + """
pre_projection.weight <- pre_projection.w
post_projection.weight <- post_projection.w
masked_embedding.centroids.weight <- centroids.w
"""
)
