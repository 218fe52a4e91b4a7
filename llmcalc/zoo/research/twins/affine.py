"""A learned scale and offset per channel, with an optional second pair for the residual stream."""

from __future__ import annotations

from typing import Any

from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, vector


def weights(layer: Any) -> list[Weight]:
    """Return a scale and an offset, and a second pair if the residual stream is scaled."""
    d = layer.d_model
    found = [vector("w", d, mean=1.0), vector("b", d)]
    return found + ([vector("rw", d, mean=1.0), vector("rb", d)] if layer.residual else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``(x + b) w``, or ``x w + b`` if ``scale_first`` is set."""
    return x * w.w + w.b if layer.scale_first else (x + w.b) * w.w


def adds_residual(layer: Any) -> bool:
    """Return whether the layer adds the sub-layer's output to the residual stream."""
    return bool(layer.residual)


def add_to_residual(layer: Any, w: Weights, y: Array, residual: Array) -> Array:
    """Compute ``(y + b) w + (r + rb) rw`` for the sub-layer's output y and the residual stream r."""
    return (y + w.b) * w.w + (residual + w.rb) * w.rw
