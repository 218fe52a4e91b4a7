"""Sinusoidal positions, computed and added to the stream."""

from __future__ import annotations

from typing import Any

from .embedding import sinusoid_halves, sinusoids
from .step import State, Step
from .weights import Array, Weight, Weights


def weights(layer: Any) -> list[Weight]:
    """Return no weights."""
    return []


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``x + sinusoids`` [b q d] at the positions of this step."""
    if layer.sinusoids == "interleaved":
        return x + sinusoids(step.positions, layer.d_model)
    return x + sinusoid_halves(int(step.positions[-1]) + 1, layer.d_model, layer.sinusoids == "fairseq")[step.positions]
