"""Axial positions [kitaev2020]: a position is the row and the column of a grid, each with a table of its own."""

from __future__ import annotations

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record


@record
class AxialEmbedding(Layer):
    """``y = [rows[position / n_columns], columns[position mod n_columns]]``: bytes, but no FLOPs.

    Attributes:
        n_rows: rows of the grid.
        n_columns: columns of the grid.
        d_row: width of a row's entry.
        d_column: width of a column's entry; both together are the width of the model.
    """

    n_rows: int
    n_columns: int
    d_row: int
    d_column: int

    def declare(self) -> Declaration:
        """Tables ``[n_rows, 1, d_row]`` and ``[1, n_columns, d_column]``."""
        sizes = {"T": self.n_rows, "S": self.n_columns, "in": self.d_row, "out": self.d_column}
        declaration = Declaration({**sizes, "one": 1, "d": self.d_row + self.d_column})
        # not of the kind "position", whose rows would bound the tokens
        declaration.weights("rows[T; one; in]", "columns[one; S; out]", table="other")
        declaration.equations("y[b q d] = gather(rows, columns)")
        return declaration
