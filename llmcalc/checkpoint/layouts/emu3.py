"""Emu3: what makes codes of images and images of codes."""

from .beside import beside

BEHIND = "model.text_model."
TEXT = beside("vqmodel", "model.vqmodel.")
