"""Attention of the channels of an image to each other, group by group, as in DaViT [ding2022, Section 3.3]."""

from __future__ import annotations

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record


@record
class ChannelAttention(Layer):
    """``y = softmax(qᵀ k / sqrt(n)) vᵀ · wo``, in which the n tokens are contracted, not the channels of a group.

    Attributes:
        d_model: width of input and output.
        n_groups: groups of channels that see each other; they divide d_model.
        bias: biases of queries, keys and values; the output has one in any case.
    """

    d_model: int
    n_groups: int
    bias: bool = True

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("n_groups", "d_model")

    def declare(self) -> Declaration:
        """Projections, a matrix of channels by channels for each group, mix, output."""
        each = self.d_model // self.n_groups
        declaration = Declaration({"d": self.d_model, "cg": self.n_groups, "e": each, "v": each})
        declaration.weights("wq[d | cg e]", "wk[d | cg v]", "wv[d | cg v]", "wo[cg e | d]")
        declaration.weights(*(["bq[cg e]", "bk[cg v]", "bv[cg v]"] if self.bias else []), "bo[d]")
        for name, axis in (("q", "e"), ("k", "v"), ("v", "v")):
            declaration.equations(f"{name}[b q cg {axis}] = x[b q d] w{name}[d cg {axis}]")
            declaration.equations(*([f"{name}[b q cg {axis}] = add({name}, b{name})"] if self.bias else []))
        declaration.equations(
            "s[b cg e v] = q[b q cg e] k[b q cg v]",
            "s[b cg e v] = scale(s)",
            "p[b cg e v] = softmax(s)",
            "o[b q cg e] = p[b cg e v] v[b q cg v]",
            "y[b q d] = o[b q cg e] wo[cg e d]",
            "y[b q d] = add(y, bo)",
        )
        return declaration
