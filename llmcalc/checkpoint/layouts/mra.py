"""MRA: BERT under another name."""

from .bert import ENCODER, HEAD

PREFIX = "mra."
TEXT = ENCODER.replace("{m}.", PREFIX) + HEAD
