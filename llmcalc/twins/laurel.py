"""LAuReL [menghani2024], a learned low-rank update of the residual stream."""

from __future__ import annotations

from typing import Any

from numpy import einsum

from .functions import rmsnorm
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Return the down- and up-projections, and a norm."""
    d, rank = layer.d_model, layer.rank
    return [matrix("left", d, rank), matrix("right", rank, d), vector("norm", d, mean=1.0)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d] = x[b q d] + norm(x left[d r] right[r d])``."""
    low = einsum("bqd,dr->bqr", x, w.left)
    return x + rmsnorm(einsum("bqr,rd->bqd", low, w.right), layer.norm_eps, w.norm)
