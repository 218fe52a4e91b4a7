"""Localized filtering-based attention [wu2023yuan, Section 2.1]: two short convolutions before queries and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ....core.declaration import Declaration
from ....core.part import Part
from ....core.record import record
from ....core.traits import Parallel, Stored
from ....layers._attention_parts import MultiHead
from ....layers.parts.rope import Rope, fit_rope

if TYPE_CHECKING:
    from ....core.shrink import Sizes

TAPS = 2  # tokens that each convolution reads


@record
class FilteredAttention(MultiHead):
    """Attention whose queries and keys read ``norm(conv(conv(x)) + x)``, while its values read ``x``.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads; must divide d_model.
        rope: rotary positions of queries and keys.
        norm_eps: epsilon of the norm after the convolutions.
    """

    rope: Rope = Rope()
    norm_eps: float = 1e-6

    AXES: ClassVar[str] = """
    mf  d_filter  channels between the two convolutions of filtered attention
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", whole="e mf out taps")
    STORED: ClassVar[Stored] = Stored(values="v")
    HAS_ORDER: ClassVar[bool] = True
    PARTS: ClassVar[dict[str, tuple[type[Part], ...]]] = {"rope": (Rope,)}

    def _complete(self) -> None:
        MultiHead._complete(self)
        if self.d_model % 2:
            raise self.size_error("d_model", f"must be even, not {self.d_model}")
        fit_rope(self, "d_head")

    @property
    def d_head(self) -> int:
        """Width of a head."""
        return self.d_model // self.n_heads

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return rotary positions of a width that fits the heads of the small test model."""
        from ....layers._small_sizes import shrink_rope  # needed only by tests

        head = small["d_model"] // small["n_heads"]
        return {"rope": shrink_rope(self, small.get("rope"), head, self.d_head)}

    def declare(self) -> Declaration:
        """Declare both convolutions, the projections, causal attention, and the cached inputs of the convolutions."""
        axes = self._head_axes() | {"out": self.d_model, "mf": self.d_model // 2, "taps": TAPS}
        axes |= {
            "r": self.rope.dim or self.d_head,
            "qc": "q",
            "qp": "q + taps - 1",
            "qd": "q + taps - 1",
            "Kt": "2 * taps - 2",
        }
        axes |= {"k": "c + q", "t": "c + q"}
        declaration = Declaration(axes, as_torch={"qc": "q + 1", "qp": "q"})  # torch pads both ends
        declaration.weights("conv_in[mf; d; taps]", "conv_in_b[mf]", "conv_out[out; mf; taps]", "conv_out_b[out]")
        declaration.weights("norm[out]", "wq[out | h e]", "wk[out | h e]", "wv[d | h e]", "wo[h e | d]")
        declaration.equations(*_LINES)
        declaration.state("k[b t h e]")
        declaration.state("v[b t h e]")
        declaration.state("filter[b d Kt]", "conv")
        declaration.mask = "causal"
        return declaration


_LINES = [
    "xp[b qp d] = copy(x) | prefill",
    "u[b qc mf] = xp[b qc d] conv_in[mf d taps] | prefill",
    "u[b qd mf] = x[b qd d] conv_in[mf d taps] | decode",
    "u[b qc mf] = add(u, conv_in_b) | prefill",
    "u[b qd mf] = add(u, conv_in_b) | decode",
    "up[b qp mf] = copy(u) | prefill",
    "f[b qc out] = up[b qc mf] conv_out[out mf taps] | prefill",
    "f[b q out] = u[b q mf] conv_out[out mf taps] | decode",
    "f[b q out] = add(f, conv_out_b)",
    "f[b q out] = add(f, x)",
    "f[b q out] = rmsnorm(f, norm)",
    "q[b q h e] = f[b q out] wq[out h e]",
    "k[b q h e] = f[b q out] wk[out h e]",
    "v[b q h e] = x[b q d] wv[d h e]",
    "q[b q h r] = rope(q)",
    "k[b q h r] = rope(k)",
    "s[b h q k] = q[b q h e] k[b k h e] | core",
    "s[b h q k] = scale(s) | core",
    "p[b h q k] = softmax(s) | core",
    "o[b q h e] = p[b h q k] v[b k h e] | core",
    "y[b q d] = o[b q h e] wo[h e d]",
]
