"""BLIP's tower, before a decoder of text with its head."""

from .blip_2 import TOWER

BEHIND, ALL = "text_decoder.", True
TEXT = TOWER
