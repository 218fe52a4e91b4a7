"""A learned blend of the residual stream with the stack's first input, as in NeoMME."""

from __future__ import annotations

from typing import Any

from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, vector


def weights(layer: Any) -> list[Weight]:
    """Return two scalars."""
    return [vector("lambdas", 2)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``λ1 x + λ2 x0`` with the first block's input x0."""
    return w.lambdas[0] * x + w.lambdas[1] * step.first_input
