"""A per-layer embedding gated by the residual stream and projected to the stream's width (Gemma 3n)."""

from __future__ import annotations

from typing import Any

from numpy import einsum

from ..core.errors import UnsupportedError
from .functions import ACTIVATIONS
from .step import State, Step
from .weights import Array, Weight, Weights, matrix


def weights(layer: Any) -> list[Weight]:
    """Return the gate projection to the per-layer embedding width, and the output projection."""
    return [matrix("gate", layer.d_model, layer.d_layer), matrix("out", layer.d_layer, layer.d_model)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d] = (act(x[b q d] gate[d l]) · input[b q l]) out[l d]``, where ``input`` is the next per-layer
    embedding.
    """
    if not step.layer_inputs:
        raise UnsupportedError("no per-layer table provides an input for this layer", where="per_layer_gate")
    gate = ACTIVATIONS[layer.activation](einsum("bqd,dl->bql", x, w.gate))
    return einsum("bql,ld->bqd", gate * step.layer_inputs.pop(0), w.out)
