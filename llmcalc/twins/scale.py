"""Scaling of a sub-layer's output, its residual, or the difference between them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import UnsupportedError
from .functions import sigmoid, times
from .step import State, Step
from .weights import Array, Weight, Weights, vector

LEAST = 1e-3  # lower bound of the squared factor on the residual
INPUT_FIELDS = frozenset({"prompt"})


def weights(layer: Any) -> list[Weight]:
    """Return a factor per channel or a single factor, or an empty list if the factor is constant."""
    if layer.factor is not None:
        return []
    return [vector("w", 1 if layer.scalar else layer.d_model, mean=1.0)._replace(buffer=layer.stored)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d] = g x[b q d]``. If ``of`` is ``step``, compute ``g (x - r)`` for the residual ``r[b q d]``."""
    if layer.of == "output":
        return x * _factor(layer, w)
    if layer.of in ("residual", "both") or step.stream is None:
        raise UnsupportedError(f"of: {layer.of} requires a sub-layer with a residual", where="scale")
    return (x - step.stream) * _factor(layer, w)


def adds_residual(layer: Any) -> bool:
    """Return whether the layer adds the sub-layer's output to the residual stream."""
    return bool(layer.of != "output")


def add_to_residual(layer: Any, w: Weights, y: Array, residual: Array) -> Array:
    """If ``of`` is ``residual``, ``step`` or ``both``, compute ``y + g r``, ``r + g (y - r)`` or ``g y + h r``."""
    if layer.of == "both":  # a sigmoid, and the second factor that preserves the variance
        gate = times(w.w, layer.gain)
        own = sigmoid(gate)
        return y * own + residual * np.sqrt(np.maximum(sigmoid(-gate) * (1.0 + own), LEAST))
    g = _factor(layer, w)
    return y + residual * g if layer.of == "residual" else residual + (y - residual) * g


def _factor(layer: Any, w: Weights) -> Array:
    if layer.factor is not None:
        return layer.factor
    g = times(w.w, layer.gain)
    return {"tanh": np.tanh, "abs": np.abs}[layer.function](g) if layer.function != "identity" else g
