"""Apertus 1.5: what makes codes of images and of sound."""

from .beside import beside

TEXT = beside("vision_tokenizer", "model.vision_tokenizer.") + beside("audio_tokenizer", "model.audio_tokenizer.")
