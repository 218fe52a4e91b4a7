"""Attention between the channels of each channel group, as in DaViT [ding2022, Section 3.3]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel
from ....layers._attention_parts import projection


@record
class ChannelAttention(Layer):
    """``y = softmax(qᵀ k / sqrt(n)) vᵀ · wo``, where the channel scores are sums over n tokens.

    Attributes:
        d_model: width of input and output.
        n_groups: number of channel groups; must divide d_model. Channels attend only within their group.
        bias: whether queries, keys and values have biases; the output always has one.
    """

    d_model: int
    n_groups: int
    bias: bool = True

    WIDTH_MULTIPLE: ClassVar[int] = 6  # three groups of an even width
    PARALLEL: ClassVar[Parallel] = Parallel(whole="e v cg")
    SHRINK: ClassVar[dict[str, str]] = {"n_groups": "parts 3"}

    def _complete(self) -> None:
        self.must_divide("n_groups", "d_model")

    def declare(self) -> Declaration:
        """Declare the projections, channel scores within each group, weighted values, and output projection."""
        width = self.d_model // self.n_groups
        declaration = Declaration({"d": self.d_model, "cg": self.n_groups, "e": width, "v": width})
        declaration.weights("wq[d | cg e]", "wk[d | cg v]", "wv[d | cg v]", "wo[cg e | d]")
        declaration.weights(*(["bq[cg e]", "bk[cg v]", "bv[cg v]"] if self.bias else []), "bo[d]")
        for name, axis in zip("qkv", "evv", strict=True):
            declaration.equations(*projection(name, "b q", "d", f"cg {axis}", self.bias))
        declaration.equations(
            "s[b cg e v] = q[b q cg e] k[b q cg v]",
            "s[b cg e v] = scale(s)",
            "p[b cg e v] = softmax(s)",
            "o[b q cg e] = p[b cg e v] v[b q cg v]",
            "y[b q d] = o[b q cg e] wo[cg e d]",
            "y[b q d] = add(y, bo)",
        )
        return declaration
