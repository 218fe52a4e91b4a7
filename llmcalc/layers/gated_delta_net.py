"""Gated DeltaNet [yang2024, Section 3]: linear attention with a gated delta rule, as in Qwen3-Next and Qwen3.5."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from .mlp import PLAIN


@record
class GatedDeltaNet(Layer):
    """``S = α S (I - β k kᵀ) + β v kᵀ; y = S q``, in chunks, with short convolutions, a gated norm and an output gate.

    Attributes:
        d_model: width of input and output.
        n_k_heads: number of query and key heads; must divide n_v_heads.
        n_v_heads: number of value heads.
        d_k: width of a key head.
        d_v: width of a value head.
        d_conv: kernel size of the convolution over queries, keys and values.
        chunk: chunk length in tokens.
        conv_bias: whether the convolution has a bias.
        norm_eps: epsilon of the gated norm.
        activation: elementwise function after the convolution; the gate uses ``silu``.
        negative_eigenvalues: whether β ranges from 0 to 2 instead of 0 to 1.
    """

    d_model: int
    n_k_heads: int
    n_v_heads: int
    d_k: int
    d_v: int
    d_conv: int = 4
    chunk: int = 64
    conv_bias: bool = False
    norm_eps: float = 1e-6
    negative_eigenvalues: bool = False
    activation: str = "silu"

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": PLAIN}

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("n_k_heads", "n_v_heads")

    def declare(self) -> Declaration:
        """Projections of q, k, v, z, a and b; convolution; chunked delta rule; gated norm; output projection."""
        axes: dict[str, int | str] = {"d": self.d_model, "kh": self.n_k_heads, "vh": self.n_v_heads, "dk": self.d_k}
        axes |= {"dv": self.d_v, "K": self.d_conv, "Z": self.chunk}
        axes |= {"X": 2 * self.n_k_heads * self.d_k + self.n_v_heads * self.d_v}
        axes |= {"qc": "q", "qd": "q", "Kt": "K - 1", "qz": "q", "z": "min(q, Z)"}
        declaration = Declaration(
            axes, as_torch={"qc": "q + K - 1", "qd": "q + 1", "Kt": "K", "qz": "ceil(q, Z) * Z", "z": "Z"}
        )
        declaration.weights(
            "wq[d | kh dk]", "wk[d | kh dk]", "wv[d | vh dv]", "wz[d | vh dv]", "wb[d | vh]", "wa[d | vh]"
        )
        declaration.weights("conv_q[kh dk; K]", "conv_k[kh dk; K]", "conv_v[vh dv; K]", "dt_b[vh]", "A_log[vh]")
        declaration.weights("norm[dv]", "wo[vh dv | d]")
        if self.conv_bias:
            declaration.weights("conv_q_b[kh dk]", "conv_k_b[kh dk]", "conv_v_b[vh dv]")
        declaration.equations(*self._project(), *_DELTA_RULE, *_OUTPUT)
        declaration.state("conv[b X Kt]", "conv")
        declaration.state("S[b vh dk dv]", "recurrent")
        return declaration

    def _project(self) -> list[str]:
        lines = []
        for name, axes in (("q", "kh dk"), ("k", "kh dk"), ("v", "vh dv")):
            lines.append(f"{name}[b q {axes}] = x[b q d] w{name}[d {axes}]")
            lines.append(f"{name}[b qc {axes}] = {name}[b qc {axes}] conv_{name}[{axes} K] | prefill")
            lines.append(f"{name}[b qd {axes}] = {name}[b qd {axes}] conv_{name}[{axes} K] | decode")
            lines += [f"{name}[b q {axes}] = add({name}, conv_{name}_b)"] if self.conv_bias else []
            lines.append(f"{name}[b q {axes}] = {self.activation}({name})")
        lines += [
            "z[b q vh dv] = x[b q d] wz[d vh dv]",
            "beta[b q vh] = x[b q d] wb[d vh]",
            "a[b q vh] = x[b q d] wa[d vh]",
        ]
        lines += [
            "beta[b q vh] = sigmoid(beta)",
            *(["beta[b q vh] = scale(beta)"] if self.negative_eigenvalues else []),
            "a[b q vh] = add(a, dt_b)",
            "a[b q vh] = softplus(a)",
            "a[b q vh] = mul(a, A_log)",
        ]
        return [*lines, "q[b q kh dk] = l2norm(q)", "k[b q kh dk] = l2norm(k)"]


_DELTA_RULE = [
    "vb[b q vh dv] = mul(v, beta) | prefill scan",
    "kb[b q vh dk] = mul(k, beta) | prefill scan",
    "ut[b qz vh z] = kb[b qz vh dk] k[b z kh dk] | kh:vh prefill scan",
    "ut[b qz vh z] = mul(ut, decay) | prefill scan",
    "s[b qz vh z] = q[b qz kh dk] k[b z kh dk] | kh:vh prefill scan",
    "s[b qz vh z] = mul(s, decay) | prefill scan",
    "u[b qz vh dv] = ut[b qz vh z] vb[b z vh dv] | prefill scan elementwise",
    "w[b qz vh dk] = ut[b qz vh z] kb[b z vh dk] | prefill scan elementwise",
    "old[b qz vh dv] = w[b qz vh dk] S[b vh dk dv] | prefill scan",
    "u[b qz vh dv] = add(u, old) | prefill scan",
    "o[b qz vh dv] = q[b qz kh dk] S[b vh dk dv] | kh:vh prefill scan",
    "oi[b qz vh dv] = s[b qz vh z] u[b z vh dv] | prefill scan",
    "o[b qz vh dv] = add(o, oi) | prefill scan",
    "S[b vh dk dv] = k[b qz kh dk] u[b qz vh dv] | kh:vh prefill scan",
    "o[b q vh dv] = gated_delta(S[b vh dk dv], q, k) | decode",
]
_OUTPUT = [
    "o[b q vh dv] = rmsnorm(o, norm)",
    "gz[b q vh dv] = silu(z)",
    "o[b q vh dv] = mul(o, gz)",
    "y[b q d] = o[b q vh dv] wo[vh dv d]",
]
