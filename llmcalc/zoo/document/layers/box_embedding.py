"""Concatenated embeddings of the edges, height and width of token boxes [xu2020]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel

if TYPE_CHECKING:
    from ....core.shrink import Sizes


@record
class BoxEmbedding(Layer):
    """``y = [left, upper, right, lower, height, width]``, looked up in four tables.

    Opposite edges share a table. With ``d_stream``, the embedding is not added to the residual stream. Instead, it
    is projected, added to a position embedding, normalised, and used as a second stream [wang2022].

    Attributes:
        rows: number of coordinates along each side of the page.
        d_edge: width of an edge's embedding.
        d_size: width of the height and width embeddings.
        d_stream: width of the second stream.
        n_places: number of rows of the second stream's position table, including padding and offset rows.
        offset, padding_id: offset and padding row of the position table, as in ``embedding``.
        eps: epsilon of the second stream's norm.
    """

    rows: int
    d_edge: int
    d_size: int
    d_stream: int | None = None
    n_places: int | None = None
    offset: int = 0
    padding_id: int | None = None
    eps: float = 1e-12

    AXES: ClassVar[str] = """
    cs  d_size  width of the embedding of a box's height or width
    """
    PARALLEL: ClassVar[Parallel] = Parallel(vocabulary="V", whole="T ce cs dl")
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"offset", "padding_id"})
    WIDTH_MULTIPLE: ClassVar[int] = 6  # four edges, height and width
    SHRINK: ClassVar[dict[str, str]] = {
        "rows": "vocab 97 101 103 107",
        "d_stream": "21 15",
        "n_places": "37 41 43",
        "offset padding_id": "keep",
    }

    def _complete(self) -> None:
        if (self.d_stream is None) != (self.n_places is None):
            raise self.size_error("d_stream", "and n_places must be set together")

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return edge and size widths for which the concatenated embedding has the stream's width."""
        edge = sizes.width(4 * self.d_edge + 2 * self.d_size) // self.WIDTH_MULTIPLE
        return {"d_edge": edge, "d_size": edge}

    def declare(self) -> Declaration:
        """Declare two edge tables ``[rows, d_edge]``, and tables ``[rows, d_size]`` for height and width."""
        axes: dict[str, int | str] = {"V": self.rows, "ce": self.d_edge, "cs": self.d_size}
        declaration = Declaration({**axes, "d": 4 * self.d_edge + 2 * self.d_size})
        declaration.weights("across[V; ce]", "down[V; ce]", "heights[V; cs]", "widths[V; cs]", table="other")
        tables = {"left": "across", "upper": "down", "right": "across", "lower": "down"}
        declaration.equations(*(f"{edge}[b q ce] = gather({table}, ids)" for edge, table in tables.items()))
        declaration.equations("high[b q cs] = gather(heights, ids)", "wide[b q cs] = gather(widths, ids)")
        declaration.equations("y[b q d] = copy(left, upper, right, lower, high, wide)")
        if self.d_stream and self.n_places:
            declaration.axes |= {"dl": self.d_stream, "T": self.n_places}
            declaration.weights("w[d | dl]", "b[dl]", "norm[dl]", "norm_b[dl]")
            declaration.weights("positions[T; dl]", table="position")
            declaration.equations(
                "l[b q dl] = y[b q d] w[d dl]",
                "l[b q dl] = add(l, b)",
                "place[b q dl] = gather(positions, ids)",
                "l[b q dl] = add(l, place)",
                "l[b q dl] = layernorm(l, norm, norm_b)",
            )
        return declaration
