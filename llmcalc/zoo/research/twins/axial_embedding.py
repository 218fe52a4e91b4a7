"""Axial position embeddings [kitaev2020] on a grid, with one table for rows and one for columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....core.errors import InputError
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, table


def weights(layer: Any) -> list[Weight]:
    """Return the row table and the column table, each with a singleton axis for the other grid dimension."""
    return [table("rows", layer.n_rows, 1, layer.d_row), table("columns", 1, layer.n_columns, layer.d_column)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``x + [rows[position // n_columns], columns[position mod n_columns]]``."""
    row, column = step.positions // layer.n_columns, step.positions % layer.n_columns
    if row[-1] >= layer.n_rows:
        raise InputError(f"position {step.positions[-1]} is outside the grid", where="axial_embedding")
    return x + np.concatenate([w.rows[row, 0], w.columns[0, column]], axis=-1)
