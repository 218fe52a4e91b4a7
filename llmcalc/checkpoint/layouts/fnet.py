"""FNet: BERT with a transform in place of attention."""

from .bert import ENCODER, HEAD

FOURIER = """
{m}.embeddings.projection.weight <- projection.w
{m}.embeddings.projection.bias <- projection.b
{m}.encoder.layer.{i}.fourier.output.LayerNorm.weight <- fourier_mixing.norm.w
{m}.encoder.layer.{i}.fourier.output.LayerNorm.bias <- fourier_mixing.norm.b
"""
PREFIX = "fnet."
TEXT = (FOURIER + ENCODER).replace("{m}.", PREFIX) + HEAD
