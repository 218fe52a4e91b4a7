"""Axial position embeddings [kitaev2020] on a grid, with one table for rows and one for columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel

if TYPE_CHECKING:
    from ....core.shrink import Sizes


@record
class AxialEmbedding(Layer):
    """``y = [rows[position // n_columns], columns[position mod n_columns]]``. The lookup costs bytes but no FLOPs.

    Attributes:
        n_rows: number of rows of the grid.
        n_columns: number of columns of the grid.
        d_row: width of a row embedding.
        d_column: width of a column embedding; ``d_row + d_column`` is the width of the stream.
    """

    n_rows: int
    n_columns: int
    d_row: int
    d_column: int

    PARALLEL: ClassVar[Parallel] = Parallel(whole="T S in out")

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return row and column widths that sum to the test model's width, and fewer columns than tokens."""
        width = sizes.width(self.d_row + self.d_column)
        return {"n_columns": 7, "d_row": width // 3, "d_column": width - width // 3}

    def declare(self) -> Declaration:
        """Declare the tables ``[n_rows, 1, d_row]`` and ``[1, n_columns, d_column]``."""
        sizes = {"T": self.n_rows, "S": self.n_columns, "in": self.d_row, "out": self.d_column}
        declaration = Declaration({**sizes, "one": 1, "d": self.d_row + self.d_column})
        # a table of kind "position" would limit the sequence to its rows
        declaration.weights("rows[T; one; in]", "columns[one; S; out]", table="other")
        declaration.equations("y[b q d] = gather(rows, columns)")
        return declaration
