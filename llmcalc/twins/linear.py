"""A dense projection: poolers, head transforms, narrow embeddings."""

from __future__ import annotations

from typing import Any

from numpy import einsum

from ..core.errors import UnsupportedError
from .functions import ACTIVATIONS, plus
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """A matrix, and a bias if the layer has one."""
    return [matrix("w", layer.d_in, layer.d_out), *([vector("b", layer.d_out)] if layer.bias else [])]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``act(x w + b)``; a pooler sees the first token alone."""
    if x.shape[-1] != layer.d_in:
        raise UnsupportedError(f"a projection of width {layer.d_in} reads something else than the stream before it")
    if layer.positions == "one":
        x = x[:, :1]
    return ACTIVATIONS[layer.activation](plus(einsum("bqi,io->bqo", x, w.w), w.get("b")))
