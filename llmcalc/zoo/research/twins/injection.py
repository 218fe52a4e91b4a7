"""Addition of a saved stream to the current stream, for loops over blocks."""

from __future__ import annotations

from typing import Any

from ....core.errors import InputError
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights


def weights(layer: Any) -> list[Weight]:
    """Return an empty list, because the layer has no weights."""
    return []


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Save ``x`` under the name ``keeps``, and add the stream saved as ``adds``. Either name can be empty."""
    if layer.keeps:
        step.saved_streams[layer.keeps] = x
    if not layer.adds:
        return x
    if layer.adds not in step.saved_streams:
        raise InputError(f"no earlier layer saves its stream as {layer.adds}", where="injection")
    return x + step.saved_streams[layer.adds]
