"""Gated short convolution over tokens, as in LFM2."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel
from ._recurrent import CONV_AXES, TORCH_CONV_AXES, convolve


@record
class ShortConv(Layer):
    """Gated convolution ``y = (C * conv(B * u)) wo``, where B, C and u are projections of the input.

    Attributes:
        d_model: width of input and output, and number of channels of the convolution.
        d_conv: kernel size of the convolution.
        bias: whether the projections and the convolution have biases.
        grid: whether the convolution is two-dimensional over image patches (LFM3-VL).
    """

    d_model: int
    d_conv: int = 3
    bias: bool = False
    grid: bool = False

    PARALLEL: ClassVar[Parallel] = Parallel(tensor="i", whole="K py px")
    HAS_ORDER: ClassVar[bool] = True
    NEEDS_SQUARE_IMAGE: ClassVar[bool] = True
    SHRINK: ClassVar[dict[str, str]] = {"d_conv": "at most 4"}

    def declare(self) -> Declaration:
        """Declare three input projections ``[d_model, d_model]``, a depthwise convolution and an output projection."""
        axes: dict[str, int | str] = {"d": self.d_model, "i": self.d_model, "K": self.d_conv, **CONV_AXES}
        declaration = Declaration(axes, as_torch=TORCH_CONV_AXES)
        taps = "one; py; px" if self.grid else "K"
        if self.grid:
            declaration = Declaration(axes | {"one": 1, "py": self.d_conv, "px": self.d_conv})
        declaration.weights("w_B[d | i]", "w_C[d | i]", "wx[d | i]", f"conv[i; {taps}]", "wo[i | d]")
        if self.bias:
            declaration.weights("b_B[i]", "b_C[i]", "bx[i]", "conv_b[i]", "bo[d]")
        lines = []
        for name, weight, bias in (("B", "w_B", "b_B"), ("C", "w_C", "b_C"), ("u", "wx", "bx")):
            lines += [f"{name}[b q i] = x[b q d] {weight}[d i]"]
            lines += [f"{name}[b q i] = add({name}, {bias})"] if self.bias else []
        lines += ["u[b q i] = mul(B, u)"]
        lines += ["u[b q i] = u[b q i] conv[i one py px]"] if self.grid else convolve("u", "i", "conv")
        lines += ["u[b q i] = add(u, conv_b)"] if self.bias else []
        lines += ["u[b q i] = mul(C, u)", "y[b q d] = u[b q i] wo[i d]"]
        declaration.equations(*lines, *["y[b q d] = add(y, bo)"] * self.bias)
        if not self.grid:
            declaration.state("conv[b i Kt]", "conv")
        return declaration
