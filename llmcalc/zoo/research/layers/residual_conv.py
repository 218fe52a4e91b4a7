"""Short depthwise convolution with a residual connection (Inkling) [tml2026]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel
from ....layers._recurrent import CONV_AXES, TORCH_CONV_AXES, convolve


@record
class ResidualConv(Layer):
    """``y = x + conv(x)``, optionally divided by ``sqrt(d_conv + 1)``.

    Attributes:
        d_model: width of input and output, equal to the number of convolution channels.
        d_conv: kernel size of the convolution.
        scaled: whether the sum is divided by ``sqrt(d_conv + 1)``.
    """

    d_model: int
    d_conv: int = 4
    scaled: bool = False

    PARALLEL: ClassVar[Parallel] = Parallel(whole="K")
    HAS_ORDER: ClassVar[bool] = True
    SHRINK: ClassVar[dict[str, str]] = {"d_conv": "at most 4"}

    def declare(self) -> Declaration:
        """Declare the kernels ``[d_model, d_conv]``."""
        declaration = Declaration({"d": self.d_model, "K": self.d_conv, **CONV_AXES}, as_torch={**TORCH_CONV_AXES})
        declaration.weights("conv[d; K]")
        declaration.equations(*convolve("x", "d", "conv", result="u"), "y[b q d] = add(u, x)")
        declaration.equations(*["y[b q d] = scale(y)"] * self.scaled)
        declaration.state("conv[b d Kt]", "conv")
        return declaration
