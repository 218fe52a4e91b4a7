"""A grouped (block-diagonal) linear layer [iandola2020]."""

from __future__ import annotations

from typing import Any

from numpy import einsum

from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, vector


def weights(layer: Any) -> list[Weight]:
    """Return one matrix per channel group, and a bias."""
    return projection(layer.d_in, layer.d_out, layer.groups)


def projection(d_in: int, d_out: int, groups: int) -> list[Weight]:
    """Return the weights of a grouped projection."""
    matrices = Weight("w", ((groups,), (d_in // groups,), (d_out // groups,)), matrix=True)
    return [matrices, vector("b", groups, d_out // groups)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y_g = x_g w_g + b_g``."""
    return apply_groups(w, x)


def apply_groups(w: Weights, x: Array) -> Array:
    """Apply the grouped projection to ``x`` [b q d]."""
    grouped = x.reshape(*x.shape[:2], w.w.shape[0], -1)
    return (einsum("bqgi,gio->bqgo", grouped, w.w) + w.b).reshape(*x.shape[:2], -1)
