"""Attention in both directions that meets projected sinusoids of distances [dai2019, Section 3.3; gulati2020]."""

from __future__ import annotations

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record


@record
class DistanceAttention(Layer):
    """``y = softmax(((q + u) kᵀ + shift((q + w) rᵀ)) / sqrt(d_head)) v · wo``; ``r`` are projected sinusoids.

    As in Conformers, whose tokens see all others and which keep nothing between steps, unlike ``relative_attention``.

    Attributes:
        d_model: width of input and output.
        n_heads: heads.
        d_head: width of a head (default: d_model / n_heads).
        bias: biases of queries, keys, values and the output.
    """

    d_model: int
    n_heads: int
    d_head: int | None = None
    bias: bool = False

    def __post_init__(self) -> None:
        self.check()
        if self.d_head is None:
            self.must_divide("n_heads", "d_model")
        self.derive(d_head=self.d_model // self.n_heads)

    def declare(self) -> Declaration:
        """Projections of tokens and of all distances between them, two kinds of scores, mix, output."""
        sizes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "e": self.d_head or 0}
        declaration = Declaration({**sizes, "rp": "q + q - min(q, 1)"})
        declaration.weights("wq[d | h e]", "wk[d | h e]", "wv[d | h e]", "wo[h e | d]", "wr[d | h e]")
        declaration.weights("u[h; e]", "w[h; e]", *(["bq[h e]", "bk[h e]", "bv[h e]", "bo[d]"] if self.bias else []))
        for name, axis in (("q", "q"), ("k", "k"), ("v", "k")):
            declaration.equations(f"{name}[b {axis} h e] = x[b {axis} d] w{name}[d h e]")
            declaration.equations(*([f"{name}[b {axis} h e] = add({name}, b{name})"] if self.bias else []))
        declaration.equations(*_MEET, *(["y[b q d] = add(y, bo)"] if self.bias else []))
        return declaration


_MEET = [
    "r[rp h e] = sinusoids[rp d] wr[d h e] | constant model",
    "r[b rp h e] = sinusoids[b rp d] wr[d h e] | constant torch",  # the implementation repeats them for each sequence
    "qu[b q h e] = add(q, u)",
    "qw[b q h e] = add(q, w)",
    "s[b h q k] = qu[b q h e] k[b k h e]",
    "sr[b h q rp] = qw[b q h e] r[rp h e] | model",
    "sr[b h q rp] = qw[b q h e] r[b rp h e] | torch",
    "s[b h q k] = add(s, sr)",
    "s[b h q k] = scale(s)",
    "p[b h q k] = softmax(s)",
    "o[b q h e] = p[b h q k] v[b k h e]",
    "y[b q d] = o[b q h e] wo[h e d]",
]
