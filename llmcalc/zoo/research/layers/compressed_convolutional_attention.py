"""Compressed convolutional attention [figliolia2025], with convolutions over queries and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.part import Part
from ....core.record import record
from ....core.traits import Parallel, Roles, Stored
from ....layers.parts.rope import Rope, fit_rope

if TYPE_CHECKING:
    from ....core.shrink import Sizes


@record
class CompressedConvolutionalAttention(Layer):
    """Grouped-query attention with convolved queries and keys. Half the value channels use the previous token.

    Attributes:
        d_model: width of input and output.
        n_heads: number of query heads.
        n_kv_heads: number of key and value heads; must divide n_heads.
        d_head: width of a head.
        d_conv: kernel size of the depthwise convolution.
        d_conv_mix: kernel size of the convolution that mixes the channels within each head.
        bias: whether the projections have biases; the convolutions always have them.
        rope: rotary positions of queries and keys.
        window: number of tokens that a query attends to, including itself.
    """

    d_model: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    d_conv: int = 2
    d_conv_mix: int = 2
    bias: bool = False
    rope: Rope = Rope()
    window: int | None = None

    AXES: ClassVar[str] = """
    late  d_delayed  value channels taken from the previous token
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="i h H", replicated="g", whole="late out e K X taps")
    STORED: ClassVar[Stored] = Stored(values="v")
    ROLES: ClassVar[Roles] = Roles(
        heads="n_heads",
        kv_heads="n_kv_heads",
        head_widths="d_head",
        windows="window",
    )
    HAS_ORDER: ClassVar[bool] = True
    SHRINK: ClassVar[dict[str, str]] = {
        "n_kv_heads": "3 2 5 7",
        "d_conv": "at most 4",
        "window": "7 11 13 5",
    }
    PARTS: ClassVar[dict[str, tuple[type[Part], ...]]] = {"rope": (Rope,)}

    def _complete(self) -> None:
        self.must_divide("n_kv_heads", "n_heads")
        fit_rope(self, "d_head")

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return test head counts where the key/value heads divide the query heads, and even rotary widths."""
        from ....layers._small_sizes import shrink_heads, shrink_rope, shrink_rotated_head  # needed only by tests

        head = shrink_rotated_head(self, sizes)
        return {
            **shrink_heads(self, sizes),
            "d_head": head,
            "rope": shrink_rope(self, small.get("rope"), head, self.d_head),
        }

    def undeclared_collectives(self) -> str:
        """Return the exchanges that depend on how the heads of queries and keys are distributed over ranks."""
        return "some gradients of the convolved queries and keys"

    def declare(self) -> Declaration:
        """Declare the projections, convolutions, attention, output projection, and cached convolution inputs."""
        axes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "g": self.n_kv_heads, "e": self.d_head}
        values = self.n_kv_heads * self.d_head
        axes |= {"i": values // 2, "late": values - values // 2, "X": (self.n_heads + self.n_kv_heads) * self.d_head}
        axes |= {"K": self.d_conv, "taps": self.d_conv_mix, "r": self.rope.dim or self.d_head, "out": self.d_head}
        axes |= {"H": self.n_heads + self.n_kv_heads, "Kt": "K + taps - 2", "qc": "q + taps - 1", "qd": "q"}
        axes |= {"qp": "q + K + taps - 2", "k": "c + q", "t": "c + q"}
        if self.window:
            axes |= {"w": self.window, "k": "min(c, w - 1) + q", "t": "min(c + q, w - 1)"}
        # in prefill, torch also computes the delayed values of the position before the first token
        declaration = Declaration(axes, as_torch={"qd": "q + 1"})
        declaration.weights("wq[d | h e]", "wk[d | g e]", "wv[d | i]", "wv_before[d | late]", "conv[X; K]", "conv_b[X]")
        declaration.weights("mix[H out; e; taps]", "mix_b[X]", "temperature[g]", "wo[h e | d]")
        if self.bias:
            declaration.weights("bq[h e]", "bk[g e]", "bv[i]", "bv_before[late]", "bo[d]")
        declaration.equations(*self._project(), *_CONVOLVE, *_ATTEND, *(["y[b q d] = add(y, bo)"] if self.bias else []))
        declaration.state("k[b t g e]")
        declaration.state("v[b t g e]")
        declaration.state("conv[b X Kt]", "conv")
        declaration.state("before[b late]", "recurrent")
        declaration.mask = f"window:{self.window}" if self.window else "causal"
        return declaration

    def _project(self) -> list[str]:
        lines = ["q[b q h e] = x[b q d] wq[d h e]", "k[b q g e] = x[b q d] wk[d g e]", "v[b q i] = x[b q d] wv[d i]"]
        lines += [
            "vd[b qd late] = x[b qd d] wv_before[d late] | prefill",
            "vd[b q late] = x[b q d] wv_before[d late] | decode",
        ]
        if self.bias:
            lines += ["q[b q h e] = add(q, bq)", "k[b q g e] = add(k, bk)"]
            lines += ["v[b q i] = add(v, bv)", "vd[b q late] = add(vd, bv_before)"]
        return [*lines, "v[b q g e] = copy(v, vd)"]


_CONVOLVE = [
    "qk[b qp X] = copy(q, k)",
    "qk[b qc X] = qk[b qc X] conv[X K]",
    "qk[b qc X] = add(qk, conv_b)",
    "qk[b q H out] = qk[b q H e] mix[H out e taps]",
    "qk[b q X] = add(qk, mix_b)",
    "mean[b q h e] = add(q, k)",
    "q[b q h e] = add(qk, mean)",
    "k[b q g e] = add(qk, mean)",
]
_ATTEND = [
    "q[b q h e] = l2norm(q)",
    "k[b q g e] = l2norm(k)",
    "k[b q g e] = mul(k, temperature)",
    "q[b q h r] = rope(q)",
    "k[b q g r] = rope(k)",
    "s[b h q k] = q[b q h e] k[b k g e] | g:h core",
    "s[b h q k] = scale(s) | core",
    "p[b h q k] = softmax(s) | core",
    "o[b q h e] = p[b h q k] v[b k g e] | g:h core",
    "y[b q d] = o[b q h e] wo[h e d]",
]
