"""Attention between patches of an image within squares of it, as in SAM [kirillov2023, Section 3].

Learned biases of rows and columns apart stand on the scores [li2022, Section 4.1].
"""

from __future__ import annotations

from ....core.declaration import Declaration
from ....core.errors import SizeError
from ....core.layer import Layer
from ....core.record import record


@record
class GridAttention(Layer):
    """``y = softmax(q kᵀ / sqrt(d_head) + q rᵀ + q cᵀ) v · wo`` within squares, padded to whole ones.

    Attributes:
        d_model: width of input and output.
        n_heads: heads; they divide d_model.
        grid: patches along each side of an image.
        window: patches along each side of a square; None: all patches of an image see each other.
        bias: biases of queries, keys and values; the output has one in any case.
        relative: whether distances along rows and columns have learned vectors.
    """

    d_model: int
    n_heads: int
    grid: int
    window: int | None = None
    bias: bool = True
    relative: bool = True

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("n_heads", "d_model")
        if self.window and self.window > self.grid:
            raise SizeError(f"window ({self.window}) is more than grid ({self.grid})", where="grid_attention")

    def declare(self) -> Declaration:
        """Projections, scores, two vectors of distances for each pair, mix, output; images are counted as whole."""
        side = self.window or self.grid
        squares = (-(-self.grid // side)) ** 2
        rows = f"ceil(q, {self.grid * self.grid}) * {squares * side * side}"
        axes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "e": self.d_model // self.n_heads}
        declaration = Declaration(
            axes | {"kg": f"min(q, 1) * {side * side}", "qr": side, "kr": side, "rp": 2 * side - 1, "qw": rows}
        )
        declaration.weights("wq[d | h e]", "wk[d | h e]", "wv[d | h e]", "wo[h e | d]")
        declaration.weights(*(["bq[h e]", "bk[h e]", "bv[h e]"] if self.bias else []), "bo[d]")
        declaration.weights(*(["rows[rp; e]", "columns[rp; e]"] if self.relative else []))
        for name in "qkv":
            declaration.equations(f"{name}[b qw h e] = x[b qw d] w{name}[d h e]")
            declaration.equations(*([f"{name}[b qw h e] = add({name}, b{name})"] if self.bias else []))
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
