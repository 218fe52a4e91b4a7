"""Nyströmformer: BERT with a convolution over the values."""

from .attention_of_kind import attention
from .bert import ENCODER, HEAD

CONV = "{m}.encoder.layer.{i}.attention.self.conv.weight <- nystrom_attention.conv | column\n"
PREFIX = "nystromformer."
TEXT = (CONV + attention("nystrom_attention") + ENCODER).replace("{m}.", PREFIX) + HEAD
