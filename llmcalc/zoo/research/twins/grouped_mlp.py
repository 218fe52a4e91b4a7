"""Feed-forward layer with block-diagonal matrices (SqueezeBERT [iandola2020], ConvBERT [jiang2020])."""

from __future__ import annotations

from typing import Any

from ....twins.linear import project, projection
from ....twins.mlp import activate
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, under


def weights(layer: Any) -> list[Weight]:
    """Return the grouped up- and down-projections."""
    up = under("up", projection(layer.d_model, layer.d_ff, layer.groups))
    return up + under("down", projection(layer.d_ff, layer.d_model, layer.out_groups))


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``act(x w1) w2``."""
    return project(w.part("down"), activate(layer.activation, None, project(w.part("up"), x), None))
