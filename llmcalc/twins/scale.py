"""A number that the residual stream is multiplied by: a constant (Gemma 3n), or one that is stored (Gemma 4)."""

from __future__ import annotations

from typing import Any

from .step import State, Step
from .weights import Array, Weight, Weights, vector


def weights(layer: Any) -> list[Weight]:
    """The number, if it is stored."""
    return [vector("s", 1, mean=1.0)._replace(buffer=True)] if layer.stored else []


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``factor x``."""
    return x * (w.s if layer.stored else layer.factor)
