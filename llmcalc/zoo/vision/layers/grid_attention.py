"""Windowed attention between image patches, as in SAM [kirillov2023, Section 3].

The scores include learned position biases, decomposed into rows and columns [li2022, Section 4.1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ....core.declaration import Declaration
from ....core.record import record
from ....core.traits import Parallel, Roles
from ....layers._attention_parts import MultiHead, projection

if TYPE_CHECKING:
    from ....core.shrink import Sizes


@record
class GridAttention(MultiHead):
    """``y = softmax(q kᵀ / sqrt(d_head) + q rᵀ + q cᵀ) v · wo`` within square windows, padded at the image edges.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads, each of width d_model / n_heads.
        grid: side length of an image in patches.
        window: side length of a window in patches; None: all patches of an image attend to each other.
        bias: whether queries, keys and values have biases; the output always has one.
        relative: whether there is a learned vector per row distance and per column distance.
    """

    grid: int
    window: int | None = None
    bias: bool = True
    relative: bool = True

    AXES: ClassVar[str] = """
    qw     n_padded_patches  patches, padded to whole windows
    qr kr  n_side            patches per side of an attention window
    """
    NEEDS_SQUARE_IMAGE: ClassVar[bool] = True
    PARALLEL: ClassVar[Parallel] = Parallel(whole="rp")
    ROLES: ClassVar[Roles] = Roles(windows="window")

    def _complete(self) -> None:
        super()._complete()
        if self.window:
            self.must_not_exceed("window", "grid")

    def shrink_field(self, field: str, sizes: Sizes) -> int | None:
        """Return a test grid or window size. The test window divides the grid only if ``window`` divides ``grid``."""
        if field == "window" and self.window:
            return sizes.SQUARE // 2 if self.grid % self.window == 0 else sizes.SQUARE // 2 - 1
        return sizes.SQUARE if field == "grid" else None

    def declare(self) -> Declaration:
        """Declare the projections, scores, row and column biases, weighted values, and output for complete images."""
        side = self.window or self.grid
        windows = (-(-self.grid // side)) ** 2
        rows = f"ceil(q, {self.grid * self.grid}) * {windows * side * side}"
        axes = self._head_axes() | {"kg": f"min(q, 1) * {side * side}"}
        declaration = Declaration(axes | {"qr": side, "kr": side, "rp": 2 * side - 1, "qw": rows})
        declaration.weights("wq[d | h e]", "wk[d | h e]", "wv[d | h e]", "wo[h e | d]")
        declaration.weights(*(["bq[h e]", "bk[h e]", "bv[h e]"] if self.bias else []), "bo[d]")
        declaration.weights(*(["rows[rp; e]", "columns[rp; e]"] if self.relative else []))
        for name in "qkv":
            declaration.equations(*projection(name, "b qw", "d", "h e", self.bias))
        declaration.equations("s[b h qw kg] = q[b qw h e] k[b kg h e]", "s[b h qw kg] = scale(s)")
        for name in ("rows", "columns") if self.relative else ():
            declaration.equations(
                f"{name}_of[qr kr e] = gather({name}, ids)",
                f"{name}_s[b h qw kr] = q[b qw h e] {name}_of[qr kr e] | qr:qw",
                f"s[b h qw kg] = add(s, {name}_s)",
            )
        declaration.equations(
            "p[b h qw kg] = softmax(s)",
            "o[b qw h e] = p[b h qw kg] v[b kg h e]",
            "y[b qw d] = o[b qw h e] wo[h e d]",
            "y[b qw d] = add(y, bo)",
        )
        return declaration
