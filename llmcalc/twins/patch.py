"""Patches of an image or a film become tokens: a matrix on all values of a patch."""

from __future__ import annotations

from typing import Any

from numpy import einsum

from .functions import plus
from .step import State, Step
from .weights import Array, Sizes, Weight, Weights, table, vector


def weights(layer: Any) -> list[Weight]:
    """A kernel as large as a patch, and a bias if the layer has one."""
    return [table("w", layer.d_out, *_patch(layer)), *([vector("b", layer.d_out)] if layer.bias else [])]


def data(layer: Any, tokens: int) -> Sizes:
    """What so many tokens of a stack are made of: the values of as many patches."""
    return tokens, *_patch(layer)


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``Σ x w + b`` over the channels, frames, rows and columns of each patch."""
    axes = "cfij" if layer.frames else "cij"
    return plus(einsum(f"bq{axes},o{axes}->bqo", x, w.w), w.get("b"))


def _patch(layer: Any) -> Sizes:
    frames = (layer.frames,) if layer.frames else ()
    return (layer.channels, *frames, layer.side, layer.side)
