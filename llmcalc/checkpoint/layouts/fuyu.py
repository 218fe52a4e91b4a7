"""Fuyu: one matrix before the language model."""

TEXT = """
model.vision_embed_tokens.weight <- patch.w | tower
model.vision_embed_tokens.bias <- patch.b | tower
"""
