"""ModernVBERT: SigLIP's tower, the language model under ``text_model``, its head beside it."""

from .clip import by_kind, encoder

BEHIND = "model.text_model."
RENAMED = (("head.", "projection_head."), ("decoder.", "lm_head."))
TEXT = by_kind(encoder("model.vision_model")) + "\nmodel.connector.modality_projection.weight <- connector.w"
