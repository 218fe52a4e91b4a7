"""What a layer does with its per-layer embedding (Gemma 3n): the residual stream gates it, and a matrix widens it."""

from __future__ import annotations

from typing import Any

from numpy import einsum

from ..core.errors import UnsupportedError
from .functions import ACTIVATIONS
from .step import State, Step
from .weights import Array, Weight, Weights, matrix


def weights(layer: Any) -> list[Weight]:
    """Into the width of the layer's own input, and out of it."""
    return [matrix("gate", layer.d_model, layer.d_layer), matrix("out", layer.d_layer, layer.d_model)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``(act(x gate) · input) out``; each layer takes the next input."""
    if not step.layer_inputs:
        raise UnsupportedError("no table has an input for this layer", where="per_layer_gate")
    gate = ACTIVATIONS[layer.activation](einsum("bqd,dl->bql", x, w.gate))
    return einsum("bql,ld->bqd", gate * step.layer_inputs.pop(0), w.out)
