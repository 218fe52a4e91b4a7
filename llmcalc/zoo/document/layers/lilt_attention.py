"""LiLT's attention [wang2022, Section 3.1]: a text and the places of its tokens are two streams that share scores."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....layers._attention_parts import project_inputs, project_output
from ....layers.mlp import ACTIVATIONS


@record
class LiltAttention(Layer):
    """``y = softmax(s + s') v · wo``; a second stream, whose scores are s', gets ``softmax(s + s') v' · w'o``.

    What the second stream gets is added to it, with a norm; a feed-forward layer follows, with a norm. There are biases
    everywhere, and no causal mask.

    Attributes:
        d_model: width of the stream.
        n_heads: heads of both streams; they divide both widths.
        d_stream: width of the second stream.
        d_ff: hidden width of its feed-forward layer.
        activation: of that layer, as in ``mlp``.
        eps: added under the roots of its norms.
        dropped: what becomes of the second stream is not used, so that no gradient flows (the last layer).
    """

    d_model: int
    n_heads: int
    d_stream: int
    d_ff: int
    activation: str = "gelu"
    eps: float = 1e-12
    dropped: bool = False

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": ACTIVATIONS}
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {**Layer.EXTERNAL_TENSORS, "layout": "the second stream"}

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("n_heads", "d_model")
        self.must_divide("n_heads", "d_stream")

    def declare(self) -> Declaration:
        """Projections of both streams, scores of each, one mix, and the second stream's own feed-forward layer."""
        axes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "e": self.d_model // self.n_heads}
        axes |= {"dl": self.d_stream, "el": self.d_stream // self.n_heads, "fl": self.d_ff}
        declaration = Declaration(axes)
        project_inputs(declaration)
        tag = " | nograd" if self.dropped else ""
        for name in ("ql", "kl", "vl"):
            its = tag if name == "vl" else ""
            declaration.weights(f"w{name}[dl | h el]", f"b{name}[h el]")
            declaration.equations(f"{name}[b q h el] = layout[b q dl] w{name}[dl h el]{its}")
            declaration.equations(f"{name}[b q h el] = add({name}, b{name}){its}")
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
        declaration.equations(*(f"{line}{tag}" for line in _BESIDE))
        declaration.equations(f"m[b q fl] = {self.activation}(m){tag}")
        declaration.equations(*(f"{line}{tag}" for line in _AFTER), "o[b q h e] = p[b h q k] v[b k h e]")
        project_output(declaration)
        return declaration


_BESIDE = [
    "ol[b q h el] = p[b h q k] vl[b k h el]",
    "l[b q dl] = ol[b q h el] wol[h el dl]",
    "l[b q dl] = add(l, bol)",
    "l[b q dl] = add(l, layout)",
    "l[b q dl] = layernorm(l, norm, norm_b)",
    "m[b q fl] = l[b q dl] wu[dl fl]",
    "m[b q fl] = add(m, bu)",
]
_AFTER = [
    "yl[b q dl] = m[b q fl] wd[fl dl]",
    "yl[b q dl] = add(yl, bd)",
    "yl[b q dl] = add(yl, l)",
    "yl[b q dl] = layernorm(yl, mlp_norm, mlp_norm_b)",
]
