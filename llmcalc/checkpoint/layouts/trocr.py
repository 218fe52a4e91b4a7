"""TrOCR's decoder: BART's names, the head beside the model."""

from . import bart

PREFIX = bart.PREFIX
TEXT = bart.TEXT.replace("lm_head", "output_projection")
