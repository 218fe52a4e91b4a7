"""Scale factors computed from a scalar such as a time step [peebles2022, Section 3.2]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ....twins.functions import ACTIVATIONS
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, constant, matrix


def weights(layer: Any) -> list[Weight]:
    """Return the two matrices of the network."""
    return [matrix("w1", layer.d_model, layer.d_hidden), matrix("w2", layer.d_hidden, layer.d_model)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``x · (1 + gelu(t w1) w2)``, where t are sinusoids with frequencies from 1 to 1e-4 radians per unit."""
    angles = layer.time * 10000.0 ** (-2 * (np.arange(layer.d_model) // 2) / layer.d_model)
    waves = constant(np.concatenate([np.cos(angles[::2]), np.sin(angles[::2])])[: layer.d_model])
    hidden = ACTIVATIONS["gelu"](einsum("d,dm->m", waves, w.w1))
    return x * (1.0 + einsum("m,md->d", hidden, w.w2))
