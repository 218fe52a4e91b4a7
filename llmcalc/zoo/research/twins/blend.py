"""A learned blend of the residual stream and the input of the first block, as in NeoMME."""

from __future__ import annotations

from typing import Any

from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, vector


def weights(layer: Any) -> list[Weight]:
    """Return the two learned scalars."""
    return [vector("lambdas", 2)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``λ1 x + λ2 x0``, where x0 is the input of the first block."""
    return w.lambdas[0] * x + w.lambdas[1] * step.first_input
