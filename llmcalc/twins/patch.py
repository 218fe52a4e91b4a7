"""Patches of an image: they are stored beside a text model, which is run without an image."""

from __future__ import annotations

from typing import Any

from ..core.errors import UnsupportedError
from .step import State, Step
from .weights import Array, Weight, Weights, table, vector


def weights(layer: Any) -> list[Weight]:
    """A kernel as large as a patch, and a bias."""
    frames = (layer.frames,) if layer.frames else ()
    kernel = table("w", layer.d_out, layer.channels, *frames, layer.side, layer.side)
    return [kernel, *([vector("b", layer.d_out)] if layer.bias else [])]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """There is no image to read; only a layer that is ``unused`` stands in a model that is run."""
    raise UnsupportedError("it reads an image, which a NumPy model does not", where=layer.kind())
