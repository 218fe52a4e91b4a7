"""The language model of a model within a class for retrieval."""

from .retrieval import ALL, TEXT, WITHOUT_HEAD

__all__ = ["ALL", "BEHIND", "TEXT", "WITHOUT_HEAD"]

BEHIND = "vlm.text_model."
