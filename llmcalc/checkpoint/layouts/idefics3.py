"""Idefics 3 and SmolVLM: SigLIP's tower, the language model under ``text_model``."""

from .clip import ENCODER, VISION

BEHIND = "model.text_model."
TEXT = ENCODER.replace(VISION, "model.vision_model") + "model.connector.modality_projection.proj.weight <- connector.w"
