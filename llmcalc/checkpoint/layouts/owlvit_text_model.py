"""Text towers of OWL-ViT and GroupViT: CLIP's, whose class by itself keeps the prefix."""

from .clip_text_model import TEXT

__all__ = ["PREFIX", "TEXT"]

PREFIX = ""
