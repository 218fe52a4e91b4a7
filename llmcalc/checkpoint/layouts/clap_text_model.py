"""CLAP's text tower: RoBERTa with its pooler, and a projection of two layers."""

from .bert import ENCODER

PREFIX = "text_model."
PROJECTION = """
text_projection.linear1.weight <- projection_in.w
text_projection.linear1.bias <- projection_in.b
text_projection.linear2.weight <- projection_out.w
text_projection.linear2.bias <- projection_out.b
"""
TEXT = ENCODER.replace("{m}.", PREFIX) + PROJECTION
