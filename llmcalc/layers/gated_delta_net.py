"""Gated DeltaNet linear attention [yang2024, Section 3], used in Qwen3-Next and Qwen3.5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel, Roles
from ._recurrent import CHUNK_AXES, CONV_AXES, TORCH_CHUNK_AXES, TORCH_CONV_AXES, convolve, delta_rule
from .mlp import PLAIN

if TYPE_CHECKING:
    from ..core.shrink import Sizes


@record
class GatedDeltaNet(Layer):
    """Short convolutions, the chunked recurrence ``S = α S (I - β k kᵀ) + β v kᵀ; y = S q`` and a gated norm.

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

    AXES: ClassVar[str] = """
    kh  n_k_heads  key heads of linear attention
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="vh", replicated="kh", whole="K dk dv")
    ROLES: ClassVar[Roles] = Roles(chunks="chunk")
    IS_RECURRENT: ClassVar[bool] = True
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": PLAIN}
    SHRINK: ClassVar[dict[str, str]] = {"d_conv": "at most 4", "chunk": "always 5 3"}

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("n_k_heads", "n_v_heads")

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return head counts that divide evenly for the small test model."""
        from ._small_sizes import shrink_heads  # needed only by tests

        return shrink_heads(self, sizes, "n_k_heads", "n_v_heads")

    def declare(self) -> Declaration:
        """Declare the input projections, convolution, chunked delta rule, gated norm and output projection."""
        axes: dict[str, int | str] = {"d": self.d_model, "kh": self.n_k_heads, "vh": self.n_v_heads, "dk": self.d_k}
        axes |= {"dv": self.d_v, "K": self.d_conv, "Z": self.chunk}
        axes |= {"X": 2 * self.n_k_heads * self.d_k + self.n_v_heads * self.d_v}
        declaration = Declaration(axes | CONV_AXES | CHUNK_AXES, as_torch=TORCH_CONV_AXES | TORCH_CHUNK_AXES)
        declaration.weights("wq[d | kh dk]", "wk[d | kh dk]", "wv[d | vh dv]", "wz[d | vh dv]", "wb[d | vh]")
        declaration.weights("wa[d | vh]", "conv_q[kh dk; K]", "conv_k[kh dk; K]", "conv_v[vh dv; K]", "dt_b[vh]")
        declaration.weights("A_log[vh]", "norm[dv]", "wo[vh dv | d]")
        if self.conv_bias:
            declaration.weights("conv_q_b[kh dk]", "conv_k_b[kh dk]", "conv_v_b[vh dv]")
        lines = []
        for name, of in (("q", "kh dk"), ("k", "kh dk"), ("v", "vh dv")):
            lines += [f"{name}[b q {of}] = x[b q d] w{name}[d {of}]"]
            lines += convolve(name, of, f"conv_{name}", bias=self.conv_bias, activation=self.activation)
        lines += ["z[b q vh dv] = x[b q d] wz[d vh dv]", "beta[b q vh] = x[b q d] wb[d vh]"]
        lines += ["a[b q vh] = x[b q d] wa[d vh]", "beta[b q vh] = sigmoid(beta)"]
        lines += ["beta[b q vh] = scale(beta)"] if self.negative_eigenvalues else []
        lines += ["a[b q vh] = add(a, dt_b)", "a[b q vh] = softplus(a)", "a[b q vh] = mul(a, A_log)"]
        lines += ["q[b q kh dk] = l2norm(q)", "k[b q kh dk] = l2norm(k)"]
        declaration.equations(*lines, *delta_rule("kh", "silu", decay_per_channel=False))
        declaration.state("conv[b X Kt]", "conv")
        declaration.state("S[b vh dk dv]", "recurrent")
        return declaration
