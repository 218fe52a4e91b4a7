"""Axial positions [kitaev2020]: the row and the column of a grid, each from a table of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....core.errors import InputError
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, table


def weights(layer: Any) -> list[Weight]:
    """Both tables, with a dimension that is 1 for the side of the grid that they do not see."""
    return [table("rows", layer.n_rows, 1, layer.d_row), table("columns", 1, layer.n_columns, layer.d_column)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``x + [rows[position // n_columns], columns[position mod n_columns]]``."""
    row, column = step.positions // layer.n_columns, step.positions % layer.n_columns
    if row[-1] >= layer.n_rows:
        raise InputError(f"the grid has no position {step.positions[-1]}", where="axial_embedding")
    return x + np.concatenate([w.rows[row, 0], w.columns[0, column]], axis=-1)
