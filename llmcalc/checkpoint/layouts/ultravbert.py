"""UltraVBERT: SigLIP's tower, the language model under ``text_model``, its head beside it."""

from .modernvbert import BEHIND
from .modernvbert import TEXT as MODERN

__all__ = ["BEHIND", "RENAMED", "TEXT"]

RENAMED = (("head.decoder.", "lm_head."), ("head.", "projection_head."))
TEXT = MODERN + "\nmodel.connector.norm.weight <- connector_norm.w"
