"""Granite 4 Vision: a tower, and projectors for several layers."""

from .beside import beside
from .clip import ENCODER

TEXT = ENCODER + "model.image_newline <- newline.w | flat\n" + beside("projectors", "model.")
