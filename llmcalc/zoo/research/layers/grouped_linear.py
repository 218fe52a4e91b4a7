"""A grouped (block-diagonal) linear layer [iandola2020]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel


@record
class GroupedLinear(Layer):
    """``y_g = x_g w_g + b_g`` for each channel group g.

    Attributes:
        d_in: input width.
        d_out: output width.
        groups: number of groups; must divide both widths.
    """

    d_in: int
    d_out: int
    groups: int = 1

    AXES: ClassVar[str] = """
    xi  d_group_in   input width of a group
    xo  d_group_out  output width of a group
    """
    PARALLEL: ClassVar[Parallel] = Parallel(whole="xg xi xo")
    INPUT_WIDTH: ClassVar[str] = "d_in"
    OUTPUT_WIDTH: ClassVar[str] = "d_out"
    SHRINK: ClassVar[dict[str, str]] = {"d_in d_out": "width", "groups": "3 2"}

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("groups", "d_in")
        self.must_divide("groups", "d_out")

    def declare(self) -> Declaration:
        """Declare the weight ``[groups, d_in / groups, d_out / groups]`` and its bias."""
        axes: dict[str, int | str] = {"xg": self.groups, "xi": self.d_in // self.groups}
        declaration = Declaration({**axes, "xo": self.d_out // self.groups})
        declaration.weights("w[xg; xi | xo]", "b[xg xo]")
        declaration.equations("y[b q xg xo] = x[b q xg xi] w[xg xi xo]", "y[b q xg xo] = add(y, b)")
        return declaration
