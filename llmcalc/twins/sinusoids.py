"""Sinusoidal positions, computed and added to the stream."""

from __future__ import annotations

from typing import Any

from .embedding import sinusoid_halves, sinusoids
from .step import State, Step
from .weights import Array, Weight, Weights


def weights(layer: Any) -> list[Weight]:
    """No weights."""
    return []


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``x + sinusoids`` [b q d] at this step's positions."""
    if layer.sinusoids == "interleaved":
        return x + sinusoids(step.positions, layer.d_model)
    return x + sinusoid_halves(int(step.positions[-1]) + 1, layer.d_model, layer.sinusoids == "fairseq")[step.positions]
