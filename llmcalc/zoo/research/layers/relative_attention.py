"""Attention over relative positions, with a memory of hidden states [dai2019, Section 3.3; yang2019]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record


@record
class RelativeAttention(Layer):
    """``softmax(((q + u) kᵀ + shift((q + w) rᵀ)) / sqrt(d_head)) v · wo``; ``r`` are projected sinusoids of distances.

    The memory holds the layer's input, not its keys and values, which every step computes again.

    Attributes:
        d_model: width of input and output.
        n_heads: heads, of width d_model / n_heads.
        causal: a query sees no later token, and no distance to one is encoded (XLNet's ``uni``).
        max_distance: distances beyond count as this one (XLNet's ``clamp_len``); None: there is no such bound.
        memory: hidden states kept at most; None: all.
        n_segments: kinds of pairs of segments that have an embedding of their own, stored and without effect as long
            as no segments are given.
    """

    d_model: int
    n_heads: int
    causal: bool = False
    memory: int | None = None
    n_segments: int | None = None
    max_distance: int | None = None

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {
        **Layer.EXTERNAL_TENSORS,
        "sinusoids": "a sine and cosine of every distance",
    }

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("n_heads", "d_model")

    def declare(self) -> Declaration:
        """Projections of tokens and distances, two kinds of scores, mix, output; all matrices in three dimensions."""
        head = self.d_model // self.n_heads
        axes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "e": head}
        axes |= {"k": "c + q", "t": "c + q"}
        if self.memory:
            axes |= {"w": self.memory, "k": "min(c, w) + q", "t": "min(c + q, w)"}
        axes["rp"] = ("min(c, w)" if self.memory else "c") + (" + q + 1" if self.causal else " + q + q")
        declaration = Declaration(axes)
        declaration.weights("wq[d; h; e]", "wk[d; h; e]", "wv[d; h; e]", "wo[d; h; e]", "wr[d; h; e]")
        declaration.weights("u[h; e]", "w[h; e]")
        if self.n_segments:
            axes["S"] = self.n_segments
            declaration.weights("segment_bias[h; e]", "segment[S; h; e]", unused=True)
        declaration.equations(*_PROJECT, *_ATTEND)
        declaration.state("memory[b t d]")
        declaration.mask = "causal" if self.causal else ""
        return declaration


_PROJECT = [
    "q[b q h e] = x[b q d] wq[d h e]",
    "k[b k h e] = x[b k d] wk[d h e]",
    "v[b k h e] = x[b k d] wv[d h e]",
    "r[rp h e] = sinusoids[rp d] wr[d h e] | constant model",
    "r[b rp h e] = sinusoids[b rp d] wr[d h e] | constant torch",  # the implementation repeats them for each sequence
]
_ATTEND = [
    "qu[b q h e] = add(q, u)",
    "qw[b q h e] = add(q, w)",
    "s[b h q k] = qu[b q h e] k[b k h e]",
    "sr[b h q rp] = qw[b q h e] r[rp h e] | model",
    "sr[b h q rp] = qw[b q h e] r[b rp h e] | torch",
    "s[b h q k] = add(s, sr)",
    "s[b h q k] = scale(s)",
    "p[b h q k] = softmax(s)",
    "o[b q h e] = p[b h q k] v[b k h e]",
    "y[b q d] = o[b q h e] wo[d h e]",
]
