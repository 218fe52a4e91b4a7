"""A gated short convolution as a token mixer, as in LFM2."""

from __future__ import annotations

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record


@record
class ShortConv(Layer):
    """``y = (C * conv(B * u)) wo``, with projections B, C and u of the input.

    Attributes:
        d_model: width of input and output, and channels of the convolution.
        d_conv: kernel size of the convolution.
        bias: whether the projections and the convolution have biases.
        grid: whether the convolution is two-dimensional, over the patches of an image (LFM3-VL).
    """

    d_model: int
    d_conv: int = 3
    bias: bool = False
    grid: bool = False

    def declare(self) -> Declaration:
        """Three projections ``[d_model, d_model]``, a depthwise convolution, output projection."""
        axes: dict[str, int | str] = {"d": self.d_model, "i": self.d_model, "K": self.d_conv}
        axes |= {"qc": "q", "qd": "q", "Kt": "K - 1"}
        declaration = Declaration(axes, as_torch={"qc": "q + K - 1", "qd": "q + 1", "Kt": "K"})
        taps = "one; py; px" if self.grid else "K"
        if self.grid:
            declaration = Declaration(axes | {"one": 1, "py": self.d_conv, "px": self.d_conv})
        declaration.weights("w_B[d | i]", "w_C[d | i]", "wx[d | i]", f"conv[i; {taps}]", "wo[i | d]")
        if self.bias:
            declaration.weights("b_B[i]", "b_C[i]", "bx[i]", "conv_b[i]", "bo[d]")
        declaration.equations(*self._lines())
        if not self.grid:
            declaration.state("conv[b i Kt]", "conv")
        return declaration

    def _lines(self) -> list[str]:
        lines = []
        for name, weight, bias in (("B", "w_B", "b_B"), ("C", "w_C", "b_C"), ("u", "wx", "bx")):
            lines += [f"{name}[b q i] = x[b q d] {weight}[d i]"]
            lines += [f"{name}[b q i] = add({name}, {bias})"] if self.bias else []
        lines += ["u[b q i] = mul(B, u)"]
        if self.grid:
            lines += ["u[b q i] = u[b q i] conv[i one py px]"]
        else:
            lines += ["u[b qc i] = u[b qc i] conv[i K] | prefill", "u[b qd i] = u[b qd i] conv[i K] | decode"]
        lines += ["u[b q i] = add(u, conv_b)"] if self.bias else []
        lines += ["u[b q i] = mul(C, u)", "y[b q d] = u[b q i] wo[i d]"]
        return lines + (["y[b q d] = add(y, bo)"] if self.bias else [])
