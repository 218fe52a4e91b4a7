"""YOSO: BERT with a convolution over the values."""

from .attention_of_kind import attention
from .bert import ENCODER, HEAD

CONV = "{m}.encoder.layer.{i}.attention.self.conv.weight <- hashed_attention.conv | column\n"
PREFIX = "yoso."
TEXT = (CONV + attention("hashed_attention") + ENCODER).replace("{m}.", PREFIX) + HEAD
