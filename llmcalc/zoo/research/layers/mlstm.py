"""The mLSTM layer with exponential gates and a normaliser [beck2024, Section 2.3; beck2025]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles
from ....layers._attention_parts import projection


@record
class Mlstm(Layer):
    """``C = f C + i k vᵀ; n = f n + i k; h = Cᵀ q / max(|n·q|, 1)``. Each head of h is then normalised and gated.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads; must divide d_k and d_v.
        d_k: total width of the queries and keys of all heads.
        d_v: total width of the values of all heads.
        chunk: number of tokens per chunk.
        bias: whether the projections and the norm have biases; the input and forget gates always have them.
        gate_softcap: soft cap on the gate logits; None: no cap.
        norm_eps: epsilon of the norm.
        eps: epsilon added to the denominator of h.
    """

    d_model: int
    n_heads: int
    d_k: int
    d_v: int
    chunk: int = 64
    bias: bool = False
    gate_softcap: float | None = None
    norm_eps: float = 1e-6
    eps: float = 1e-6

    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", whole="dk dv")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads", chunks="chunk")
    IS_RECURRENT: ClassVar[bool] = True
    WIDTH_MULTIPLE: ClassVar[int] = 6  # three heads of an even width
    SHRINK: ClassVar[dict[str, str]] = {"chunk": "always 5 3", "n_heads": "parts 3"}

    def _complete(self) -> None:
        self.must_divide("n_heads", "d_k")
        self.must_divide("n_heads", "d_v")

    def declare(self) -> Declaration:
        """Declare the q, k, v and gate projections, chunkwise recurrence, norm, output gate, and output projection."""
        axes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "Z": self.chunk}
        axes |= {"dk": self.d_k // self.n_heads, "dv": self.d_v // self.n_heads}
        axes |= {"qz": "q", "z": "min(q, Z)", "y": "ceil(q, Z)"}
        # torch runs the tokens of an incomplete chunk one by one
        declaration = Declaration(axes, as_torch={"qz": "q - mod(q, Z)", "z": "Z"})
        projections = {"q": "h dk", "k": "h dk", "v": "h dv", "o": "h dv"}
        declaration.weights(*(f"w{name}[d | {axis}]" for name, axis in projections.items()))
        declaration.weights("wi[d | h]", "bi[h]", "wf[d | h]", "bf[h]", "norm[h dv]", "out[h dv | d]")
        if self.bias:
            declaration.weights(*(f"b{name}[{axis}]" for name, axis in projections.items()), "norm_b[h dv]", "out_b[d]")
        declaration.equations(*self._project(projections), *_RECURRENCE, *self._output())
        declaration.state("C[b h dk dv]", "recurrent")
        declaration.state("n[b h dk]", "recurrent")
        declaration.state("m[b h]", "recurrent")
        return declaration

    def _project(self, projections: dict[str, str]) -> list[str]:
        lines = []
        for name, axes in projections.items():
            lines += projection(name, "b q", "d", axes, self.bias)
        for name in "if":
            lines += projection(name, "b q", "d", "h")
            lines += [f"{name}[b q h] = softcap({name})"] if self.gate_softcap else []
        return lines

    def _output(self) -> list[str]:
        lines = [f"y[b q h dv] = layernorm(y, norm{', norm_b' if self.bias else ''})"]
        lines += ["o[b q h dv] = sigmoid(o)", "y[b q h dv] = mul(y, o)", "z[b q d] = y[b q h dv] out[h dv d]"]
        return [*lines, *(["z[b q d] = add(z, out_b)"] if self.bias else [])]


_RECURRENCE = [
    "f[b q h] = sigmoid(f) | scan",
    "i[b q h] = exp(i) | scan",
    "s[b qz h z] = q[b qz h dk] k[b z h dk] | prefill scan",
    "s[b qz h z] = mul(s, decay) | prefill scan",
    "y[b qz h dv] = s[b qz h z] v[b z h dv] | prefill scan",
    "k[b q h dk] = mul(k, i) | scan",
    "C[b q h dk dv] = k[b q h dk] v[b q h dv] | scan",
    "C[b y h dk dv] = scale(C[b y h dk dv]) | prefill scan",
    "C[b q h dk dv] = scale(C[b q h dk dv]) | decode scan",
    "yo[b q h dv] = q[b q h dk] C[b q h dk dv] | scan",
    "nq[b q h] = q[b q h dk] n[b q h dk] | scan",
    "y[b q h dv] = add(y, yo) | prefill scan",
    "y[b q h dv] = mul(yo, nq) | scan",
]
