"""Relative position embeddings for pairs of token boxes [hong2021, Section 3.1]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles

COORDINATES = 8  # two per corner


@record
class BoxPairs(Layer):
    """``r_qk = [sin, cos of (corner_k - corner_q) · frequencies] w``, using both coordinates of all four corners.

    Layers of kind ``box_attention`` use these embeddings.

    Attributes:
        d_wave: number of sines and cosines per coordinate.
        d_head: width of the embeddings, equal to the head width.
        scale: factor by which the coordinates are multiplied.
    """

    d_wave: int
    d_head: int
    scale: float = 100.0

    PARALLEL: ClassVar[Parallel] = Parallel(whole="in e")
    ROLES: ClassVar[Roles] = Roles(head_widths="d_head")
    SHRINK: ClassVar[dict[str, str]] = {"d_wave": "waves 2"}  # one sine and one cosine per coordinate
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"waves": "sines and cosines of distances between boxes"}

    def declare(self) -> Declaration:
        """Declare the weight ``[8 d_wave, d_head]``, which is applied to every pair of tokens."""
        declaration = Declaration({"in": COORDINATES * self.d_wave, "e": self.d_head})
        declaration.weights("w[in | e]")
        declaration.equations("r[b q k e] = waves[b q k in] w[in e] | constant", "r[b q k e] = keep(r)")
        return declaration
