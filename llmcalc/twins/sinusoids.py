"""Sinusoidal position embeddings, added to the residual stream."""

from __future__ import annotations

from typing import Any

from .embedding import sinusoid_halves, sinusoids
from .step import State, Step
from .weights import Array, Weight, Weights


def weights(layer: Any) -> list[Weight]:
    """Return an empty list, since the layer has no weights."""
    return []


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d] = x[b q d] + sinusoids[q d]`` for the positions of this step."""
    if layer.sinusoids == "interleaved":
        return x + sinusoids(step.positions, layer.d_model)
    return x + sinusoid_halves(int(step.positions[-1]) + 1, layer.d_model, layer.sinusoids == "fairseq")[step.positions]
