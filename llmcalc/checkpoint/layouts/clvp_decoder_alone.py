"""TorToiSe's decoder in a class of its own."""

from .clvp_decoder import TEXT

__all__ = ["PREFIX", "TEXT"]

PREFIX = "model.decoder."
