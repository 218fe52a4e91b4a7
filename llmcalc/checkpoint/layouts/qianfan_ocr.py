"""Qianfan-OCR: InternVL, whose blocks stand elsewhere."""

from .internvl import TEXT as INTERNVL

TEXT = INTERNVL.replace(".encoder.layer.", ".layers.")
