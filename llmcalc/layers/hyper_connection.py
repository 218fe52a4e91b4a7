"""Hyper-connections [zhu2024; xie2025 for the doubly stochastic mix]: a residual of several parallel streams.

In front of a sub-layer they read one vector out of the streams; behind it they write its result to all of them and,
where ``mixed``, mix the streams with one another.
"""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record


@record
class HyperConnection(Layer):
    """``x = Σ_i read_i · stream_i``; after the sub-layer ``stream_j = write_j · y + Σ_i mix_ij · stream_i``.

    Attributes:
        d_model: width of a stream.
        n_streams: parallel streams.
        writes: whether a result is written back; the head of a model reads alone.
        mixed: whether the streams are mixed with one another, by a doubly stochastic matrix.
        rank: streams are read with one weight a channel, made through this rank, and have a norm with weights (Qwen);
            None: with one weight a stream.
        write_scale: the largest weight of writing.
        iterations: times that rows and columns of the mix are divided by their sums.
        eps: added to weights of reading, of mixing, and to those of writing where nothing is mixed.
        norm_eps: added under the root of the norm on the streams.
    """

    d_model: int
    n_streams: int
    writes: bool = True
    mixed: bool = True
    rank: int | None = None
    write_scale: float = 2.0
    iterations: int = 20
    eps: float = 1e-6
    norm_eps: float = 1e-6

    GIVEN: ClassVar[dict[str, str]] = {
        **Layer.GIVEN,
        "written": "what the sub-layer gives",
        "rounds": "times that rows and columns are divided by their sums",
    }

    def declare(self) -> Declaration:
        """What the weights of reading, writing and mixing are made of, and the mix; what is read comes last."""
        declaration = Declaration({"d": self.d_model, "hs": self.n_streams, "ht": self.n_streams})
        if self.rank:
            self._by_channel(declaration)
        else:
            self._by_stream(declaration)
        return declaration

    def _by_stream(self, declaration: Declaration) -> None:
        parts = [self.n_streams, *([self.n_streams] if self.writes else [])]
        parts += [self.n_streams**2] if self.writes and self.mixed else []
        declaration.axes |= {"hr": sum(parts), "hp": len(parts)}
        declaration.weights("fn[hs d | hr]", "base[hr]", "scale[hp]")
        declaration.equations("n[b q hs d] = rmsnorm(x[b q hs d]) | row:q", "w[b q hr] = n[b q hs d] fn[hs d hr]")
        declaration.equations("w[b q hr] = mul(w, scale)", "w[b q hr] = add(w, base)")
        if self.writes and self.mixed:
            declaration.axes |= {"it": self.iterations}
            declaration.equations("logits[b q hs ht] = copy(w[b q hs ht])")
            declaration.equations("mix[b q hs ht] = doubly_stochastic(logits, rounds[it])")
            declaration.equations("mixed[b q ht d] = mix[b q hs ht] x[b q hs d]")
        if self.writes:
            declaration.equations("back[b q ht] = sigmoid(w[b q ht])", *_WRITE)
        declaration.equations("read[b q hs] = sigmoid(w[b q hs])", "read[b q hs] = add(read)")
        declaration.equations("y[b q hs d] = mul(read, x[b q hs d])", "h[b q d] = add(y)")

    def _by_channel(self, declaration: Declaration) -> None:
        declaration.axes |= {"rank": self.rank or 0}
        declaration.weights("norm[hs d]", "down[hs d | rank]", "up[rank | hs d]")
        declaration.equations("n[b q hs d] = rmsnorm(x[b q hs d], norm)", "low[b q rank] = n[b q hs d] down[hs d rank]")
        declaration.equations("low[b q rank] = scale(low)", "low[b q rank] = silu(low)")
        if self.writes:
            declaration.weights("inject[hs d | ht]")
            declaration.equations("back[b q ht] = n[b q hs d] inject[hs d ht]", "back[b q ht] = sigmoid(back)", *_WRITE)
        declaration.equations("w[b q hs d] = low[b q rank] up[rank hs d]", "w[b q hs d] = sigmoid(w)")
        declaration.equations("y[b q hs d] = mul(w, n)", "h[b q d] = add(y)")


_WRITE = ["back[b q ht] = scale(back)", "new[b q ht d] = mul(back, written[b q d])"]
