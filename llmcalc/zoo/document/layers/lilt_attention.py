"""LiLT attention [wang2022, Section 3.1], in which a text stream and a layout stream share attention scores."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.record import record
from ....core.traits import Parallel, Roles
from ....layers._attention_parts import MultiHead, project_inputs, project_output, projection
from ....layers.mlp import ACTIVATIONS


@record
class LiltAttention(MultiHead):
    """``softmax(s + s') v · wo`` for the text and ``softmax(s + s') v' · w'o`` for the layout.

    The streams' scores are s and s'. The layout stream also applies a residual connection, a norm, and a
    feed-forward layer with another residual connection and norm. All matrices have biases. Attention is not causal.

    Attributes:
        d_model: width of the text stream.
        n_heads: number of heads of both streams; must divide both widths.
        d_stream: width of the layout stream.
        d_ff: hidden width of the layout stream's feed-forward layer.
        activation: activation of the feed-forward layer, as in ``mlp``.
        eps: epsilon of the layout stream's norms.
        dropped: whether the layout stream's output is unused and receives no gradient (the last layer).
    """

    d_stream: int
    d_ff: int
    activation: str = "gelu"
    eps: float = 1e-12
    dropped: bool = False

    AXES: ClassVar[str] = """
    el  d_stream_head  head width of the layout stream
    fl  d_stream_ff    hidden width of the layout stream's feed-forward layer
    """
    PARALLEL: ClassVar[Parallel] = Parallel(whole="dl el fl")
    ROLES: ClassVar[Roles] = Roles(hidden="d_ff")
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": ACTIVATIONS}
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"layout": "the layout stream"}
    SHRINK: ClassVar[dict[str, str]] = {"d_stream": "21 15"}

    def _complete(self) -> None:
        super()._complete()
        self.must_divide("n_heads", "d_stream")

    def declare(self) -> Declaration:
        """Declare both streams' projections, scores and weighted values, and the layout stream's feed-forward layer."""
        axes = self._head_axes()
        axes |= {"dl": self.d_stream, "el": self.d_stream // self.n_heads, "fl": self.d_ff}
        declaration = Declaration(axes)
        project_inputs(declaration)
        tag = "nograd" if self.dropped else ""
        for name in ("ql", "kl", "vl"):
            declaration.weights(f"w{name}[dl | h el]", f"b{name}[h el]")
            lines = projection(name, "b q", "dl", "h el", source="layout")
            declaration.equations(*lines, tag=tag if name == "vl" else "")
        declaration.equations(
            "s[b h q k] = q[b q h e] k[b k h e]",
            "s[b h q k] = scale(s)",
            "sl[b h q k] = ql[b q h el] kl[b k h el]",
            "sl[b h q k] = scale(sl)",
            "s[b h q k] = add(s, sl)",
            "p[b h q k] = softmax(s)",
        )
        declaration.weights("wol[h el | dl]", "bol[dl]", "norm[dl]", "norm_b[dl]")
        declaration.weights("wu[dl | fl]", "bu[fl]", "wd[fl | dl]", "bd[dl]", "mlp_norm[dl]", "mlp_norm_b[dl]")
        activated = f"m[b q fl] = {self.activation}(m)"
        declaration.equations(*_LAYOUT_ATTENTION, activated, *_LAYOUT_OUTPUT, tag=tag)
        declaration.equations("o[b q h e] = p[b h q k] v[b k h e]")
        project_output(declaration)
        return declaration


_LAYOUT_ATTENTION = [
    "ol[b q h el] = p[b h q k] vl[b k h el]",
    "l[b q dl] = ol[b q h el] wol[h el dl]",
    "l[b q dl] = add(l, bol)",
    "l[b q dl] = add(l, layout)",
    "l[b q dl] = layernorm(l, norm, norm_b)",
    "m[b q fl] = l[b q dl] wu[dl fl]",
    "m[b q fl] = add(m, bu)",
]
_LAYOUT_OUTPUT = [
    "yl[b q dl] = m[b q fl] wd[fl dl]",
    "yl[b q dl] = add(yl, bd)",
    "yl[b q dl] = add(yl, l)",
    "yl[b q dl] = layernorm(yl, mlp_norm, mlp_norm_b)",
]
