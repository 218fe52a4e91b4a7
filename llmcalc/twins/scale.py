"""A factor on a sub-layer's result, on the stream that it is added to, or on the step between them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import UnsupportedError
from .functions import sigmoid, times
from .step import State, Step
from .weights import Array, Weight, Weights, vector

LEAST = 1e-3  # of what the stream keeps, squared
AS_GIVEN = frozenset({"prompt"})  # of the stream that it runs on


def weights(layer: Any) -> list[Weight]:
    """The factor, unless it is a constant: one a channel, or one number."""
    if layer.factor is not None:
        return []
    return [vector("w", 1 if layer.lone else layer.d_model, mean=1.0)._replace(buffer=layer.stored)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``g x``, or of the step ``g (x - r)``, to which the stream r is added."""
    if layer.of == "output":
        return x * _factor(layer, w)
    if layer.of in ("residual", "both") or step.stream is None:
        raise UnsupportedError(f"a factor of the {layer.of} stands around no sum here", where="scale")
    return (x - step.stream) * _factor(layer, w)


def adds(layer: Any) -> bool:
    """Whether it is behind a sub-layer that adds the result to the stream, instead of the sub-layer."""
    return bool(layer.of != "output")


def add(layer: Any, w: Weights, y: Array, residual: Array) -> Array:
    """``y + g r`` or, of the step, ``r + g (y - r)``, with the residual stream r; or of both ``g y + h r``."""
    if layer.of == "both":
        return _balanced(layer, w, y, residual)
    g = _factor(layer, w)
    return y + residual * g if layer.of == "residual" else residual + (y - residual) * g


def _balanced(layer: Any, w: Weights, y: Array, residual: Array) -> Array:
    """Two factors, a sigmoid and one that together with it leaves as much variance as there was."""
    gate = times(w.w, layer.gain)
    own = sigmoid(gate)
    other = np.sqrt(np.maximum(sigmoid(-gate) * (1.0 + own), LEAST))
    return y * own + residual * other


def _factor(layer: Any, w: Weights) -> Array:
    if layer.factor is not None:
        return layer.factor
    g = times(w.w, layer.gain)
    return {"tanh": np.tanh, "abs": np.abs}[layer.function](g) if layer.function != "identity" else g
