"""Kimi Delta Attention [kimi2025linear, Section 3]: a gated delta rule with a decay per channel."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from .mlp import PLAIN


@record
class Kda(Layer):
    """``S = (I - β k kᵀ) diag(α) S + β k vᵀ; y = Sᵀ q``, in chunks, with short convolutions and a gated norm.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads.
        d_head: width of a head.
        d_conv: kernel size of the convolution over queries, keys and values.
        chunk: chunk length in tokens.
        gate_rank: rank of the projections to the decay and the output gate; None: full matrices.
        full_gate: whether the output gate has a full matrix in any case (Kimi K3).
        decay_bound: lower bound of the logarithm of the decay, through a sigmoid; None: a softplus without a bound.
        norm_eps: epsilon of the gated norm.
        activation: elementwise function after the convolution.
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

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": PLAIN}

    def declare(self) -> Declaration:
        """Projections of q, k, v, decay, β and gate; convolution; chunked delta rule; gated norm; output projection."""
        axes: dict[str, int | str] = {"d": self.d_model, "vh": self.n_heads, "dk": self.d_head, "dv": self.d_head}
        axes |= {"K": self.d_conv, "Z": self.chunk, "X": 3 * self.n_heads * self.d_head}
        axes |= {"qc": "q", "qd": "q", "Kt": "K - 1", "qz": "q", "z": "min(q, Z)"}
        declaration = Declaration(
            axes, as_torch={"qc": "q + K - 1", "qd": "q + 1", "Kt": "K", "qz": "ceil(q, Z) * Z", "z": "Z"}
        )
        for name, width in (("q", "dk"), ("k", "dk"), ("v", "dv")):
            declaration.weights(f"w{name}[d | vh {width}]", f"conv_{name}[vh {width}; K]")
        axes |= {"rank": self.gate_rank} if self.gate_rank else {}
        for name, width in (("a", "dk"), ("z", "dv")):
            if self._narrow(name):
                declaration.weights(f"w{name}_in[d | rank]", f"w{name}[rank | vh {width}]")
            else:
                declaration.weights(f"w{name}[d | vh {width}]")
        declaration.weights("dt_b[vh dk]", "A_log[vh]", "wb[d | vh]", "norm[dv]", "wo[vh dv | d]")
        declaration.equations(*self._project(), *self._gates(), *_DELTA_RULE, *_OUTPUT)
        declaration.state("conv[b X Kt]", "conv")
        declaration.state("S[b vh dk dv]", "recurrent")
        return declaration

    def _project(self) -> list[str]:
        lines = []
        for name, axes in (("q", "vh dk"), ("k", "vh dk"), ("v", "vh dv")):
            lines += [
                f"{name}[b q {axes}] = x[b q d] w{name}[d {axes}]",
                f"{name}[b qc {axes}] = {name}[b qc {axes}] conv_{name}[{axes} K] | prefill",
                f"{name}[b qd {axes}] = {name}[b qd {axes}] conv_{name}[{axes} K] | decode",
                f"{name}[b q {axes}] = {self.activation}({name})",
            ]
        return [*lines, "q[b q vh dk] = l2norm(q)", "k[b q vh dk] = l2norm(k)"]

    def _narrow(self, name: str) -> bool:
        """Whether the projection to the decay ``a`` or the output gate ``z`` is low-rank."""
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


_DELTA_RULE = [
    "vb[b q vh dv] = mul(v, beta) | prefill scan",
    "kb[b q vh dk] = mul(k, beta) | prefill scan",
    "ut[b qz vh z] = kb[b qz vh dk] k[b z vh dk] | prefill scan elementwise",
    "s[b qz vh z] = q[b qz vh dk] k[b z vh dk] | prefill scan elementwise",
    "u[b qz vh dv] = ut[b qz vh z] vb[b z vh dv] | prefill scan",
    "w[b qz vh dk] = ut[b qz vh z] kb[b z vh dk] | prefill scan",
    "old[b qz vh dv] = w[b qz vh dk] S[b vh dk dv] | prefill scan",
    "u[b qz vh dv] = add(u, old) | prefill scan",
    "o[b qz vh dv] = q[b qz vh dk] S[b vh dk dv] | prefill scan",
    "oi[b qz vh dv] = s[b qz vh z] u[b z vh dv] | prefill scan",
    "o[b qz vh dv] = add(o, oi) | prefill scan",
    "S[b vh dk dv] = k[b qz vh dk] u[b qz vh dv] | prefill scan",
    "o[b q vh dv] = gated_delta(S[b vh dk dv], q, k) | decode",
]
_OUTPUT = [
    "o[b q vh dv] = rmsnorm(o, norm)",
    "gz[b q vh dv] = sigmoid(z)",
    "o[b q vh dv] = mul(o, gz)",
    "y[b q d] = o[b q vh dv] wo[vh dv d]",
]
