"""State-space duality (SSD) layer of Mamba-2 [dao2024, Sections 6 and 7]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..core.declaration import Declaration
from ..core.description.part_family import PartFamily
from ..core.part import Part
from ..core.record import record
from ..core.traits import Parallel, Roles
from ._recurrent import CHUNK_AXES, CONV_AXES, TORCH_CHUNK_AXES, TORCH_CONV_AXES, ChunkedRecurrence, convolve

if TYPE_CHECKING:
    from ..core.shrink import Sizes
    from .parts.multipliers import SsmMultipliers
    from .parts.time_step import TimeStep


@record
class Mamba2(ChunkedRecurrence):
    """State-space layer with a scalar decay per head, computed in chunks with matrix products.

    Attributes:
        d_model: input and output width.
        n_ssm_heads: number of heads; d_inner = n_ssm_heads · d_ssm_head.
        d_ssm_head: width of each head.
        d_state: state size per channel.
        n_groups: number of head groups that share B and C.
        d_conv: kernel size of the short convolution over x, B and C.
        chunk: chunk length in tokens.
        bias: whether the input and output projections have biases.
        out_bias: whether the output projection has a bias (default: ``bias``).
        conv_bias: whether the convolution has a bias.
        norm: whether a gated RMSNorm over each group precedes the output projection.
        gate_first: whether the gate is applied before the norm instead of after (Falcon-H1).
        multipliers: constant factors of the input, the output and the projections.
        norm_eps: epsilon of the norm.
        activation: activation after the convolution. The gate uses ``silu``.
        time_step: bounds of the time step.
    """

    d_model: int
    n_ssm_heads: int
    d_ssm_head: int
    d_state: int
    n_groups: int = 1
    d_conv: int = 4
    chunk: int = 256
    bias: bool = False
    conv_bias: bool = True
    norm: bool = True
    norm_eps: float = 1e-5
    time_step: TimeStep | None = None
    out_bias: bool | None = None
    gate_first: bool = True
    multipliers: SsmMultipliers | None = None
    activation: str = "silu"

    AXES: ClassVar[str] = """
    yt  n_chunk_states  states at chunk boundaries
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="H", replicated="G", whole="N K P")
    ROLES: ClassVar[Roles] = Roles(state_heads="n_ssm_heads", head_widths="d_ssm_head")
    HAS_NORM: ClassVar[bool] = True
    PARTS: ClassVar[Mapping[str, Sequence[type[Part]]]] = {
        "time_step": PartFamily("parts", "time_step"),
        "multipliers": PartFamily("parts", "multipliers.SsmMultipliers"),
    }

    def _complete(self) -> None:
        self.must_divide("n_groups", "n_ssm_heads")

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return group and head counts for the small test layer. The head count is a multiple of the group count."""
        groups = 1 if self.n_groups == 1 else 2
        return {"n_groups": groups, "n_ssm_heads": 3 * groups}

    def declare(self) -> Declaration:
        """Declare the input projection, convolution, chunked scan, gated norm and output projection."""
        axes: dict[str, int | str] = {"d": self.d_model, "H": self.n_ssm_heads, "P": self.d_ssm_head, "N": self.d_state}
        axes |= {"G": self.n_groups, "K": self.d_conv, "Z": self.chunk}
        axes |= {"X": self.n_ssm_heads * self.d_ssm_head + 2 * self.n_groups * self.d_state}
        axes |= {**CONV_AXES, **CHUNK_AXES, "y": "ceil(q, Z)", **dict.fromkeys(("yt", "ys"), "ceil(q, Z) + 1")}
        declaration = Declaration(axes, as_torch=TORCH_CONV_AXES | TORCH_CHUNK_AXES)
        declaration.weights("wz[d | H P]", "wx[d | H P]", "w_B[d | G N]", "w_C[d | G N]", "w_dt[d | H]")
        declaration.weights("conv_x[H P; K]", "conv_B[G N; K]", "conv_C[G N; K]", "dt_b[H]", "A_log[H]", "D[H]")
        declaration.weights("wo[H P | d]")
        if self.bias:
            declaration.weights("bz[H P]", "bx[H P]", "b_B[G N]", "b_C[G N]", "b_dt[H]")
        out_bias = self.bias if self.out_bias is None else self.out_bias
        declaration.weights(*["bo[d]"] * out_bias)
        if self.conv_bias:
            declaration.weights("conv_x_b[H P]", "conv_B_b[G N]", "conv_C_b[G N]")
        if self.norm:
            declaration.weights("norm[H P]")
        declaration.equations(*self._project(), *_SCAN, "y[b q H P] = add(y, D)")
        declaration.equations("gz[b q H P] = silu(z)", "y[b q H P] = mul(y, gz)")
        declaration.equations(*["y[b q H P] = rmsnorm(y, norm) | row:G"] * self.norm)
        declaration.equations("out[b q d] = y[b q H P] wo[H P d]", *["out[b q d] = add(out, bo)"] * out_bias)
        declaration.state("conv[b X Kt]", "conv")
        declaration.state("ssm[b H P N]", "recurrent")
        return declaration

    def _project(self) -> list[str]:
        lines = ["z[b q H P] = x[b q d] wz[d H P]", "u[b q H P] = x[b q d] wx[d H P]"]
        lines += ["B[b q G N] = x[b q d] w_B[d G N]"]
        lines += ["C[b q G N] = x[b q d] w_C[d G N]", "dt[b q H] = x[b q d] w_dt[d H]"]
        if self.bias:
            lines += ["z[b q H P] = add(z, bz)", "u[b q H P] = add(u, bx)", "B[b q G N] = add(B, b_B)"]
            lines += ["C[b q G N] = add(C, b_C)", "dt[b q H] = add(dt, b_dt)"]
        for name, axes in (("u", "H P"), ("B", "G N"), ("C", "G N")):
            kernel = f"conv_{'x' if name == 'u' else name}"
            lines += convolve(name, axes, kernel, bias=self.conv_bias, activation=self.activation)
        lines += ["dt[b q H] = add(dt, dt_b)", "dt[b q H] = softplus(dt)"]
        return [*lines, *(self.time_step.lines() if self.time_step else [])]


_SCAN = [
    "z[b q H P] = keep(z) | prefill torch",  # the convolution reads a view of the whole projection
    "ud[b q H P] = mul(u, dt) | prefill scan",
    "ud[b qz H P] = gather(ud) | prefill scan torch",  # padded to whole chunks
    "u[b qz H P] = keep(u) | prefill scan torch",  # PyTorch pads it for the product with D
    "B[b qz G N] = gather(B) | prefill scan torch",
    "decay[b qz H z] = exp(dt) | prefill scan torch",
    "first[b qz H] = exp(dt) | prefill scan torch",  # decays from the start and to the end of a chunk
    "last[b qz H] = exp(dt) | prefill scan torch",
    "s[b qz G z] = C[b qz G N] B[b z G N] | prefill scan model",  # once for a group, as Mamba's kernels do
    "s[b qz H z] = C[b qz G N] B[b z G N] | G:H prefill scan torch",
    "m[b qz H z] = mul(s, decay) | prefill scan",
    "yd[b qz H P] = m[b qz H z] ud[b z H P] | prefill scan",
    "B[b qz H N] = gather(B) | prefill scan torch",
    "ud[b qz H P] = scale(ud) | prefill scan torch",  # another order of axes
    "C[b qz G N] = scale(C) | prefill scan torch",
    "Bd[b qz H N] = mul(B, decay) | prefill scan",
    "hc[b y H P N] = Bd[b qz H N] ud[b qz H P] | y:qz prefill scan",
    "h[b y H P N] = gated_delta(hc) | prefill scan model",
    "h[b yt H P N] = decay[b ys yt H] hc[b ys H P N] | prefill scan torch",
    "yo[b qz H P] = C[b qz G N] h[b y H P N] | G:H y:qz prefill scan",
    "yo[b qz H P] = keep(yo) | prefill scan torch",
    "y[b q H P] = add(yd, yo) | prefill scan",
    "h[b q H P N] = selective_scan(u, dt, B, A_log) | decode",
    "y[b q H P] = h[b q H P N] C[b q G N] | G:H decode",
]
