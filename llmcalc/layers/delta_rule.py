"""Linear attention with the gated delta rule.

Gated DeltaNet [yang2024, Section 3], used in Qwen3-Next and Qwen3.5, has one decay per head. Kimi Delta Attention
[kimi2025linear, Section 3] has one decay per channel.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from ..core.declaration import Declaration
from ..core.record import record
from ..core.traits import Parallel, Roles
from ._recurrent import CHUNK_AXES, CONV_AXES, TORCH_CHUNK_AXES, TORCH_CONV_AXES, ChunkedRecurrence, convolve

if TYPE_CHECKING:
    from ..core.shrink import Sizes

_DECAY = re.compile(r"\bdecay\b")


@record
class GatedDeltaNet(ChunkedRecurrence):
    """Gated DeltaNet: short convolutions, chunks of ``S = α S (I - β k kᵀ) + β v kᵀ; y = S q``, and a gated norm.

    Attributes:
        d_model: input and output width.
        n_k_heads: number of query and key heads; must divide n_v_heads.
        n_v_heads: number of value heads.
        d_k: width of each key head.
        d_v: width of each value head.
        d_conv: kernel size of the convolution over queries, keys and values.
        chunk: chunk length in tokens.
        conv_bias: whether the convolution has a bias.
        norm_eps: epsilon of the gated norm.
        activation: activation after the convolution. The gate uses ``silu``.
        negative_eigenvalues: whether β ranges from 0 to 2 instead of 0 to 1.
        decays: whether the state decays; without decay and gate, the layer is DeltaNet [yang2024parallel].
        gated: whether the normalised output has a gate.
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
    decays: bool = True
    gated: bool = True

    KIND: ClassVar[str] = "gated_delta_net"
    AXES: ClassVar[str] = """
    kh  n_k_heads  key heads of linear attention
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="vh", replicated="kh", whole="K dk dv")

    def _complete(self) -> None:
        self.must_divide("n_k_heads", "n_v_heads")

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return head counts that divide evenly for the small test model."""
        from ._small_sizes import shrink_heads  # needed only by tests

        return shrink_heads(self, sizes, "n_k_heads", "n_v_heads")

    def declare(self) -> Declaration:
        """Declare the input projections, convolution, chunked delta rule, gated norm and output projection."""
        heads = {"kh": self.n_k_heads, "vh": self.n_v_heads, "dk": self.d_k, "dv": self.d_v}
        declaration = _declaration(self, heads, "kh")
        declaration.weights("wq[d | kh dk]", "wk[d | kh dk]", "wv[d | vh dv]", *["wz[d | vh dv]"] * self.gated)
        declaration.weights("wb[d | vh]", *["wa[d | vh]"] * self.decays)
        declaration.weights("conv_q[kh dk; K]", "conv_k[kh dk; K]", "conv_v[vh dv; K]")
        declaration.weights(*["dt_b[vh]", "A_log[vh]"] * self.decays, "norm[dv]", "wo[vh dv | d]")
        declaration.weights(*["conv_q_b[kh dk]", "conv_k_b[kh dk]", "conv_v_b[vh dv]"] * self.conv_bias)
        lines = _project("kh", self.activation, self.conv_bias)
        lines += [*["z[b q vh dv] = x[b q d] wz[d vh dv]"] * self.gated, "beta[b q vh] = x[b q d] wb[d vh]"]
        lines += [*["a[b q vh] = x[b q d] wa[d vh]"] * self.decays, "beta[b q vh] = sigmoid(beta)"]
        lines += ["beta[b q vh] = scale(beta)"] if self.negative_eigenvalues else []
        decay = ["a[b q vh] = add(a, dt_b)", "a[b q vh] = softplus(a)", "a[b q vh] = mul(a, A_log)"]
        lines += decay * self.decays
        for name in "qk":  # PyTorch repeats the heads before the norm
            lines += [f"{name}[b q vh dk] = gather({name}) | torch", f"{name}[b q vh dk] = l2norm({name}) | torch"]
            lines += [f"{name}[b q kh dk] = l2norm({name}) | model"]
        rule = _rule("kh", "silu" if self.gated else "", decay_per_channel=False)
        declaration.equations(*lines, *(line for line in rule if self.decays or not _DECAY.search(line)))
        return declaration


@record
class Kda(ChunkedRecurrence):
    """Kimi Delta Attention: ``S = (I - β k kᵀ) diag(α) S + β k vᵀ; y = Sᵀ q`` after short convolutions.

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

    KIND: ClassVar[str] = "kda"
    AXES: ClassVar[str] = """
    zr  n_solved  elements of a chunk's system that forward substitution copies
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="vh", whole="rank K dk dv")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads", head_widths="d_head")

    def declare(self) -> Declaration:
        """Declare the input projections, convolutions, chunked delta rule, gated norm and output projection."""
        declaration = _declaration(self, {"vh": self.n_heads, "dk": self.d_head, "dv": self.d_head}, "vh")
        copied = sum(row + row**2 for row in range(1, int(self.chunk)))  # each row and the block above
        declaration.axes |= {"y": "ceil(q, Z)", "zr": copied}
        for name, width in (("q", "dk"), ("k", "dk"), ("v", "dv")):
            declaration.weights(f"w{name}[d | vh {width}]", f"conv_{name}[vh {width}; K]")
        declaration.axes |= {"rank": self.gate_rank} if self.gate_rank else {}
        declaration.equations(*_project("vh", self.activation), "q[b q vh dk] = l2norm(q)", "k[b q vh dk] = l2norm(k)")
        self._project_gate(declaration, "a", "vh dk", self.gate_rank)
        self._project_gate(declaration, "z", "vh dv", None if self.full_gate else self.gate_rank)
        declaration.weights("dt_b[vh dk]", "A_log[vh]", "wb[d | vh]", "norm[dv]", "wo[vh dv | d]")
        decay = ["softplus(a)", "mul(a, A_log)"]
        if self.decay_bound is not None:
            decay = ["mul(a, A_log)", "sigmoid(a)", "scale(a)"]
        declaration.equations(*(f"a[b q vh dk] = {step}" for step in ("add(a, dt_b)", *decay)))
        declaration.equations("beta[b q vh] = x[b q d] wb[d vh]", "beta[b q vh] = sigmoid(beta)")
        declaration.equations(*_rule("vh", "sigmoid", decay_per_channel=True))
        return declaration

    def _project_gate(self, declaration: Declaration, name: str, axes: str, rank: int | None) -> None:
        """Declare the projection to the decay ``a`` or the output gate ``z``, which is low-rank if ``rank`` is set."""
        if rank:
            declaration.weights(f"w{name}_in[d | rank]", f"w{name}[rank | {axes}]")
            declaration.equations(f"{name}r[b q rank] = x[b q d] w{name}_in[d rank]")
            declaration.equations(f"{name}[b q {axes}] = {name}r[b q rank] w{name}[rank {axes}]")
        else:
            declaration.weights(f"w{name}[d | {axes}]")
            declaration.equations(f"{name}[b q {axes}] = x[b q d] w{name}[d {axes}]")


def _declaration(layer: GatedDeltaNet | Kda, heads: dict[str, int], keys: str) -> Declaration:
    """Return a declaration with the axes of the layer, and with the states of the convolution and the rule."""
    axes = {"d": layer.d_model, **heads, "K": layer.d_conv, "Z": layer.chunk}
    axes["X"] = 2 * heads[keys] * heads["dk"] + heads["vh"] * heads["dv"]
    declaration = Declaration(axes | CONV_AXES | CHUNK_AXES, as_torch=TORCH_CONV_AXES | TORCH_CHUNK_AXES)
    declaration.state("conv[b X Kt]", "conv")
    declaration.state("S[b vh dk dv]", "recurrent")
    return declaration


def _project(keys: str, activation: str, bias: bool = False) -> list[str]:
    """Return the equations that project and convolve queries, keys and values. ``keys`` is the axis of key heads."""
    lines = []
    for name, axes in (("q", f"{keys} dk"), ("k", f"{keys} dk"), ("v", "vh dv")):
        lines += [f"{name}[b q {axes}] = x[b q d] w{name}[d {axes}]"]
        lines += convolve(name, axes, f"conv_{name}", bias=bias, activation=activation)
    return lines


def _rule(keys: str, gate: str, *, decay_per_channel: bool) -> list[str]:
    """Return the equations of the gated delta rule, the norm, the output gate and the output projection."""
    within = _channel_decays() if decay_per_channel else _head_decays(keys)
    outer = "" if decay_per_channel else " elementwise"
    return [
        "vb[b q vh dv] = mul(v, beta) | prefill scan",
        "kb[b q vh dk] = mul(k, beta) | prefill scan",
        *within,
        f"u[b qz vh dv] = ut[b qz vh z] vb[b z vh dv] | prefill scan{outer}",
        f"w[b qz vh dk] = ut[b qz vh z] kb[b z vh dk] | prefill scan{outer}",
        "old[b qz vh dv] = w[b qz vh dk] S[b vh dk dv] | prefill scan",
        "u[b qz vh dv] = add(u, old) | prefill scan",
        "q[b qz vh dk] = scale(q) | prefill scan torch",  # times the decay
        "k[b qz vh dk] = scale(k) | prefill scan torch",
        *_by_heads("o[b qz vh dv] = q[b qz kh dk] S[b vh dk dv] | kh:vh prefill scan", keys),
        "oi[b qz vh dv] = s[b qz vh z] u[b z vh dv] | prefill scan",
        "o[b qz vh dv] = add(o, oi) | prefill scan",
        *_by_heads("S[b vh dk dv] = k[b qz kh dk] u[b qz vh dv] | kh:vh prefill scan", keys),
        "o[b q vh dv] = gated_delta(S[b vh dk dv], q, k) | decode",
        "o[b q vh dv] = rmsnorm(o, norm)",
        *([f"gz[b q vh dv] = {gate}(z)", "o[b q vh dv] = mul(o, gz)"] if gate else []),
        "y[b q d] = o[b q vh dv] wo[vh dv d]",
    ]


def _head_decays(keys: str) -> list[str]:
    """Return the products of keys with keys and queries within a chunk, with one decay per head."""
    return [
        "decay[b qz vh z] = exp(a) | prefill scan torch",
        *_by_heads("ut[b qz vh z] = kb[b qz vh dk] k[b z kh dk] | kh:vh prefill scan", keys),
        "ut[b qz vh z] = mul(ut, decay) | prefill scan",
        *_by_heads("s[b qz vh z] = q[b qz kh dk] k[b z kh dk] | kh:vh prefill scan", keys),
        "s[b qz vh z] = mul(s, decay) | prefill scan",
    ]


def _by_heads(line: str, keys: str) -> list[str]:
    """Return a line that reads key heads, and the line for PyTorch, which has already repeated them for value heads."""
    repeated = line.replace("kh:vh ", "").replace(" kh ", " vh ")
    return [repeated] if keys == "vh" else [f"{line} model", f"{repeated} torch"]


def _channel_decays() -> list[str]:
    """Return the products of keys with keys and queries within a chunk, with one decay per channel.

    PyTorch computes them with one tensor per pair of tokens and channel, and solves the system row by row.
    """
    return [
        "ut[b qz vh z] = kb[b qz vh dk] k[b z vh dk] | prefill scan elementwise model",
        "s[b qz vh z] = q[b qz vh dk] k[b z vh dk] | prefill scan elementwise model",
        "decay[b qz vh z dk] = exp(a) | prefill scan torch",
        "kk[b qz vh z dk] = mul(k, decay) | prefill scan torch",
        "ut[b qz vh z] = kb[b qz vh dk] kk[b qz vh z dk] | prefill scan elementwise torch",
        "rows[b y vh zr] = keep(ut) | prefill scan torch",
        "qk[b qz vh z dk] = mul(q, decay) | prefill scan torch",
        "s[b qz vh z] = qk[b qz vh z dk] k[b z vh dk] | prefill scan elementwise torch",
    ]
