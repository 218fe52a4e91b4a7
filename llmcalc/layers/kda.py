"""Kimi Delta Attention with a gated delta rule and per-channel decay [kimi2025linear, Section 3]."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel, Roles
from ._recurrent import CHUNK_AXES, CONV_AXES, TORCH_CHUNK_AXES, TORCH_CONV_AXES, convolve, delta_rule
from .mlp import PLAIN


@record
class Kda(Layer):
    """Short convolutions, the chunked recurrence ``S = (I - β k kᵀ) diag(α) S + β k vᵀ; y = Sᵀ q`` and a gated norm.

    Attributes:
        d_model: input and output width.
        n_heads: number of heads.
        d_head: width of each head.
        d_conv: kernel size of the convolution over queries, keys and values.
        chunk: chunk length in tokens.
        gate_rank: rank of the projections to the decay and the output gate; None for full matrices.
        full_gate: whether the output gate always has a full matrix (Kimi K3).
        decay_bound: lower bound of the log decay, enforced with a sigmoid; None for an unbounded softplus.
        norm_eps: epsilon of the gated norm.
        activation: activation after the convolution.
    """

    d_model: int
    n_heads: int
    d_head: int
    d_conv: int = 4
    chunk: int = 64
    gate_rank: int | None = None
    full_gate: bool = False
    decay_bound: float | None = None
    norm_eps: float = 1e-6
    activation: str = "silu"

    PARALLEL: ClassVar[Parallel] = Parallel(tensor="vh", whole="rank K dk dv")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads", head_widths="d_head", chunks="chunk")
    IS_RECURRENT: ClassVar[bool] = True
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": PLAIN}
    SHRINK: ClassVar[dict[str, str]] = {"d_conv": "at most 4", "chunk": "always 5 3"}

    def declare(self) -> Declaration:
        """Declare the input projections, convolutions, chunked delta rule, gated norm and output projection."""
        axes: dict[str, int | str] = {"d": self.d_model, "vh": self.n_heads, "dk": self.d_head, "dv": self.d_head}
        axes |= {"K": self.d_conv, "Z": self.chunk, "X": 3 * self.n_heads * self.d_head, **CONV_AXES, **CHUNK_AXES}
        declaration = Declaration(axes, as_torch=TORCH_CONV_AXES | TORCH_CHUNK_AXES)
        for name, width in (("q", "dk"), ("k", "dk"), ("v", "dv")):
            declaration.weights(f"w{name}[d | vh {width}]", f"conv_{name}[vh {width}; K]")
        axes |= {"rank": self.gate_rank} if self.gate_rank else {}
        for name, width in (("a", "dk"), ("z", "dv")):
            if self._narrow(name):
                declaration.weights(f"w{name}_in[d | rank]", f"w{name}[rank | vh {width}]")
            else:
                declaration.weights(f"w{name}[d | vh {width}]")
        declaration.weights("dt_b[vh dk]", "A_log[vh]", "wb[d | vh]", "norm[dv]", "wo[vh dv | d]")
        lines = []
        for name, of in (("q", "vh dk"), ("k", "vh dk"), ("v", "vh dv")):
            lines += [f"{name}[b q {of}] = x[b q d] w{name}[d {of}]"]
            lines += convolve(name, of, f"conv_{name}", activation=self.activation)
        lines += ["q[b q vh dk] = l2norm(q)", "k[b q vh dk] = l2norm(k)"]
        declaration.equations(*lines, *self._gates(), *delta_rule("vh", "sigmoid", decay_per_channel=True))
        declaration.state("conv[b X Kt]", "conv")
        declaration.state("S[b vh dk dv]", "recurrent")
        return declaration

    def _narrow(self, name: str) -> bool:
        """Return whether the projection to the decay ``a`` or the output gate ``z`` is low-rank."""
        return self.gate_rank is not None and not (name == "z" and self.full_gate)

    def _gates(self) -> list[str]:
        lines = []
        for name, axes in (("a", "vh dk"), ("z", "vh dv")):
            if self._narrow(name):
                lines += [f"{name}r[b q rank] = x[b q d] w{name}_in[d rank]"]
                lines += [f"{name}[b q {axes}] = {name}r[b q rank] w{name}[rank {axes}]"]
            else:
                lines += [f"{name}[b q {axes}] = x[b q d] w{name}[d {axes}]"]
        rate = "a[b q vh dk] = mul(a, A_log)"
        decay = ["a[b q vh dk] = softplus(a)", rate]
        if self.decay_bound is not None:
            decay = [rate, "a[b q vh dk] = sigmoid(a)", "a[b q vh dk] = scale(a)"]
        lines += ["a[b q vh dk] = add(a, dt_b)", *decay]
        return [*lines, "beta[b q vh] = x[b q d] wb[d vh]", "beta[b q vh] = sigmoid(beta)"]
