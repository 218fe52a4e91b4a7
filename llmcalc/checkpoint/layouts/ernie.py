"""ERNIE: BERT under another name."""

from .bert import ENCODER, HEAD

PREFIX = "ernie."
TEXT = ENCODER.replace("{m}.", PREFIX) + HEAD
