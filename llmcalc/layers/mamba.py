"""Selective state-space layer (S6) of Mamba [gu2023, Section 3]."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel, Roles
from ._recurrent import CONV_AXES, TORCH_CONV_AXES, convolve
from .mlp import PLAIN


@record
class Mamba(Layer):
    """Short convolution and recurrence ``h = exp(ΔA) h + ΔB x; y = C h + D x``, gated by ``silu(z)``.

    Attributes:
        d_model: input and output width.
        d_inner: number of channels of the recurrence.
        d_state: state size per channel.
        d_conv: kernel size of the short convolution.
        dt_rank: rank of the time-step projection.
        bias: whether the input and output projections have biases.
        conv_bias: whether the convolution has a bias.
        bcdt_norm: norm on Δ, B and C: ``none``, ``rmsnorm`` (Jamba) or ``plain`` (no weights; Falcon Mamba).
        norm_eps: epsilon of the norm on Δ, B and C.
        activation: activation after the convolution. The gate uses ``silu``.
        n_heads: number of heads with separate Δ, B and C (Zamba); must divide d_inner. None for a single head.
    """

    d_model: int
    d_inner: int
    d_state: int
    d_conv: int
    dt_rank: int
    bias: bool = False
    conv_bias: bool = True
    bcdt_norm: str = "none"
    norm_eps: float = 1e-6
    activation: str = "silu"
    n_heads: int | None = None

    PARALLEL: ClassVar[Parallel] = Parallel(tensor="i H", whole="N K R P")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads", hidden="d_inner")
    IS_RECURRENT: ClassVar[bool] = True
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": PLAIN, "bcdt_norm": ("none", "rmsnorm", "plain")}
    SHRINK: ClassVar[dict[str, str]] = {"d_conv": "at most 4"}

    def _complete(self) -> None:
        if self.n_heads is not None:
            self.must_divide("n_heads", "d_inner")
        if self.n_heads is not None and self.bcdt_norm != "none":
            raise self.size_error("n_heads", f"({self.n_heads}) requires bcdt_norm: none")

    def declare(self) -> Declaration:
        """Declare the input projection, the convolution, the Δ, B and C projections, the scan and the output."""
        axes: dict[str, int | str] = {"d": self.d_model, "i": self.d_inner, "N": self.d_state, "K": self.d_conv}
        axes |= {"R": self.dt_rank, **CONV_AXES}
        channels, head, width = "i", "", "i"
        if self.n_heads is not None:
            channels, head, width = "H P", "H ", "P"
            axes |= {"H": self.n_heads, "P": self.d_inner // self.n_heads}
        declaration = Declaration(axes, as_torch=TORCH_CONV_AXES)
        apart, each = channels.replace(" ", "; "), head.replace(" ", "; ")
        declaration.weights("wx[d | i]", "wz[d | i]", "conv[i; K]", f"w_dt[{apart} | R]", f"w_B[{apart} | N]")
        declaration.weights(f"w_C[{apart} | N]", f"dt_up[{each}R | {width}]", f"dt_b[{apart}]")
        declaration.weights(f"A_log[{apart}; N]", f"D[{apart}]", "wo[i | d]")
        if self.bias:
            declaration.weights("bx[i]", "bz[i]", "bo[d]")
        if self.conv_bias:
            declaration.weights("conv_b[i]")
        if self.bcdt_norm == "rmsnorm":
            declaration.weights("dt_norm[R]", "B_norm[N]", "C_norm[N]")
        lines = ["u[b q i] = x[b q d] wx[d i]", "z[b q i] = x[b q d] wz[d i]"]
        lines += ["u[b q i] = add(u, bx)", "z[b q i] = add(z, bz)"] if self.bias else []
        lines += convolve("u", "i", "conv", bias=self.conv_bias, activation=self.activation)
        inputs = (("dt", "R"), ("B", "N"), ("C", "N"))
        lines += [f"{name}[b q {head}{axis}] = u[b q {channels}] w_{name}[{channels} {axis}]" for name, axis in inputs]
        for name, axis in inputs if self.bcdt_norm != "none" else ():
            lines += [f"{name}[b q {axis}] = rmsnorm({name}{f', {name}_norm' if self.bcdt_norm == 'rmsnorm' else ''})"]
        lines += [
            f"delta[b q {channels}] = dt[b q {head}R] dt_up[{head}R {width}]",
            f"delta[b q {channels}] = add(delta, dt_b)",
            f"delta[b q {channels}] = softplus(delta)",
            f"h[b q {channels} N] = selective_scan(u, delta, B, A_log)",
            f"y[b q {channels}] = h[b q {channels} N] C[b q {head}N]",
            f"u[b q {channels}] = keep(u) | prefill torch",  # PyTorch copies it for the product with D
            f"y[b q {channels}] = keep(y) | prefill torch",  # the product with the gate is in fp32
            f"y[b q {channels}] = add(y, D)",
            *("gz[b q i] = silu(z)", "y[b q i] = mul(y, gz)", "out[b q d] = y[b q i] wo[i d]"),
        ]
        declaration.equations(*lines, *["out[b q d] = add(out, bo)"] * self.bias)
        declaration.state("conv[b i Kt]", "conv")
        declaration.state("ssm[b i N]", "recurrent")
        return declaration
