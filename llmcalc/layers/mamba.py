"""Mamba's selective state-space layer, S6 [gu2023, Section 3]."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.errors import SizeError
from ..core.layer import Layer
from ..core.record import record
from .mlp import PLAIN


@record
class Mamba(Layer):
    """A short convolution, then the recurrence ``h = exp(ΔA) h + ΔB x; y = C h + D x``, gated by ``silu(z)``.

    Attributes:
        d_model: width of input and output.
        d_inner: channels of the recurrence.
        d_state: state size per channel.
        d_conv: kernel size of the short convolution.
        dt_rank: rank of the time-step projection.
        bias: whether the input and output projections have biases.
        conv_bias: whether the convolution has a bias.
        bcdt_norm: norm on Δ, B and C: ``none``, ``rmsnorm`` with weights (Jamba), or ``plain`` without (Falcon Mamba).
        norm_eps: epsilon of that norm.
        activation: elementwise function after the convolution; the gate uses ``silu``.
        n_heads: number of heads with separate Δ, B and C; must divide d_inner (Zamba); None: one Δ, B and C.
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

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": PLAIN, "bcdt_norm": ("none", "rmsnorm", "plain")}

    def __post_init__(self) -> None:
        self.check()
        if self.n_heads is not None:
            self.must_divide("n_heads", "d_inner")
        if self.n_heads is not None and self.bcdt_norm != "none":
            raise SizeError(f"n_heads is {self.n_heads}; bcdt_norm excludes n_heads", where="mamba")

    def declare(self) -> Declaration:
        """Input projection to x and z, convolution, projections to Δ, B, C, scan, output projection."""
        axes: dict[str, int | str] = {"d": self.d_model, "i": self.d_inner, "N": self.d_state, "K": self.d_conv}
        axes |= {"R": self.dt_rank, "qc": "q", "qd": "q", "Kt": "K - 1"}
        if self.n_heads is not None:
            axes |= {"H": self.n_heads, "P": self.d_inner // self.n_heads}
        declaration = Declaration(axes, as_torch={"qc": "q + K - 1", "qd": "q + 1", "Kt": "K"})
        declaration.weights("wx[d | i]", "wz[d | i]", "conv[i; K]")
        if self.n_heads is not None:
            declaration.weights("w_dt[H; P | R]", "w_B[H; P | N]", "w_C[H; P | N]", "dt_up[H; R | P]", "dt_b[H; P]")
            declaration.weights("A_log[H; P; N]", "D[H; P]", "wo[i | d]")
        else:
            declaration.weights("w_dt[i | R]", "w_B[i | N]", "w_C[i | N]")
            declaration.weights("dt_up[R | i]", "dt_b[i]", "A_log[i; N]", "D[i]", "wo[i | d]")
        if self.bias:
            declaration.weights("bx[i]", "bz[i]", "bo[d]")
        if self.conv_bias:
            declaration.weights("conv_b[i]")
        if self.bcdt_norm == "rmsnorm":
            declaration.weights("dt_norm[R]", "B_norm[N]", "C_norm[N]")
        declaration.equations(
            *self._project(), *(_HEADS if self.n_heads is not None else self._scan()), *self._output()
        )
        declaration.state("conv[b i Kt]", "conv")
        declaration.state("ssm[b i N]", "recurrent")
        return declaration

    def _project(self) -> list[str]:
        lines = ["u[b q i] = x[b q d] wx[d i]", "z[b q i] = x[b q d] wz[d i]"]
        lines += ["u[b q i] = add(u, bx)", "z[b q i] = add(z, bz)"] if self.bias else []
        lines += ["u[b qc i] = u[b qc i] conv[i K] | prefill", "u[b qd i] = u[b qd i] conv[i K] | decode"]
        lines += ["u[b q i] = add(u, conv_b)"] if self.conv_bias else []
        return [*lines, f"u[b q i] = {self.activation}(u)"]

    def _scan(self) -> list[str]:
        lines = ["dt[b q R] = u[b q i] w_dt[i R]", "B[b q N] = u[b q i] w_B[i N]", "C[b q N] = u[b q i] w_C[i N]"]
        if self.bcdt_norm != "none":
            weighted = self.bcdt_norm == "rmsnorm"
            for name, axis in (("dt", "R"), ("B", "N"), ("C", "N")):
                lines += [f"{name}[b q {axis}] = rmsnorm({name}{f', {name}_norm' if weighted else ''})"]
        return [*lines, *_ONE_HEAD]

    def _output(self) -> list[str]:
        lines = ["gz[b q i] = silu(z)", "y[b q i] = mul(y, gz)", "out[b q d] = y[b q i] wo[i d]"]
        return [*lines, *(["out[b q d] = add(out, bo)"] if self.bias else [])]


_ONE_HEAD = [
    "delta[b q i] = dt[b q R] dt_up[R i]",
    "delta[b q i] = add(delta, dt_b)",
    "delta[b q i] = softplus(delta)",
    "h[b q i N] = selective_scan(u, delta, B, A_log)",
    "y[b q i] = h[b q i N] C[b q N]",
    "y[b q i] = add(y, D)",
]
_HEADS = [
    "dt[b q H R] = u[b q H P] w_dt[H P R]",
    "B[b q H N] = u[b q H P] w_B[H P N]",
    "C[b q H N] = u[b q H P] w_C[H P N]",
    "delta[b q H P] = dt[b q H R] dt_up[H R P]",
    "delta[b q H P] = add(delta, dt_b)",
    "delta[b q H P] = softplus(delta)",
    "h[b q H P N] = selective_scan(u, delta, B, A_log)",
    "y[b q H P] = h[b q H P N] C[b q H N]",
    "y[b q H P] = add(y, D)",
]
