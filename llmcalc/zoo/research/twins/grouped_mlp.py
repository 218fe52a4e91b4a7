"""Feed-forward layer with block-diagonal matrices (SqueezeBERT [iandola2020], ConvBERT [jiang2020])."""

from __future__ import annotations

from typing import Any

from ....twins.mlp import activate
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, under
from .grouped_linear import apply_groups, projection


def weights(layer: Any) -> list[Weight]:
    """Return the grouped up- and down-projections."""
    up = under("up", projection(layer.d_model, layer.d_ff, layer.groups))
    return up + under("down", projection(layer.d_ff, layer.d_model, layer.out_groups))


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``act(x w1) w2``."""
    return apply_groups(w.part("down"), activate(layer.activation, None, apply_groups(w.part("up"), x), None))
