"""Griffin's recurrent block [de2024, Section 2.4] with a real-gated linear recurrent unit (RG-LRU)."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel, Roles
from .mlp import ACTIVATIONS


@record
class RgLru(Layer):
    """Recurrence ``h = a h + sqrt(1 - a²) (i * u); y = (h * act(x wy)) wo``. The gates a and i are block-diagonal.

    Attributes:
        d_model: width of input and output.
        d_inner: number of channels of the recurrence.
        n_blocks: number of diagonal blocks per gate; must divide d_inner.
        d_conv: kernel size of the convolution before the recurrence.
        activation: elementwise function applied to the gate branch.
    """

    d_model: int
    d_inner: int
    n_blocks: int
    d_conv: int = 4
    activation: str = "gelu_tanh"

    AXES: ClassVar[str] = """
    Po  d_block  output width of a block of a block-diagonal matrix
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="i H", whole="K P Po")
    ROLES: ClassVar[Roles] = Roles(hidden="d_inner")
    IS_RECURRENT: ClassVar[bool] = True
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": ACTIVATIONS}
    SHRINK: ClassVar[dict[str, str]] = {"d_conv": "at most 4"}

    def _complete(self) -> None:
        self.must_divide("n_blocks", "d_inner")

    def declare(self) -> Declaration:
        """Declare the input projections, convolution, block-diagonal gates, recurrence and output projection."""
        axes: dict[str, int | str] = {"d": self.d_model, "i": self.d_inner, "K": self.d_conv, "H": self.n_blocks}
        axes |= dict.fromkeys(("P", "Po"), self.d_inner // self.n_blocks)
        axes |= {"qc": "q", "Kt": "K - 1"}
        declaration = Declaration(axes, as_torch={"qc": "q + K - 1"})
        declaration.weights("wy[d | i]", "by[i]", "wx[d | i]", "bx[i]", "conv[i; K]", "conv_b[i]", "decay_rate[i]")
        for gate in ("input", "decay"):
            declaration.weights(f"w_{gate}[H; P | Po]", f"b_{gate}[H; P]")
        declaration.weights("wo[i | d]", "bo[d]")
        declaration.equations(
            "y[b q i] = x[b q d] wy[d i]",
            "y[b q i] = add(y, by)",
            f"y[b q i] = {self.activation}(y)",
            "u[b q i] = x[b q d] wx[d i]",
            "u[b q i] = add(u, bx)",
            "u[b qc i] = u[b qc i] conv[i K] | prefill",
            "u[b q i] = u[b q i] conv[i K] | decode elementwise",
            "u[b q i] = add(u, conv_b)",
            *_RECURRENCE,
        )
        declaration.state("conv[b i Kt]", "conv")
        declaration.state("h[b i]", "recurrent")
        return declaration


_RECURRENCE = [
    "blocks[b q i] = keep(u) | prefill torch",  # PyTorch copies it for the products with block-diagonal matrices
    "ig[b q H Po] = u[b q H P] w_input[H P Po]",
    "ig[b q H Po] = add(ig, b_input)",
    "ig[b q H Po] = sigmoid(ig)",
    "a[b q H Po] = u[b q H P] w_decay[H P Po]",
    "a[b q H Po] = add(a, b_decay)",
    "a[b q H Po] = sigmoid(a)",
    "a[b q H Po] = scale(a) | prefill torch",  # times -8
    "rate[i] = softplus(decay_rate)",
    "a[b q i] = mul(a, rate)",
    "a[b q i] = exp(a)",
    "u[b q i] = mul(u, ig)",
    "h[b q i] = rg_lru(u, a)",
    "y[b q i] = mul(h, y)",
    "out[b q d] = y[b q i] wo[i d]",
    "out[b q d] = add(out, bo)",
]
