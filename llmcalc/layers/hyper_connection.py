"""Hyper-connections between parallel residual streams [zhu2024; xie2025 for the doubly stochastic mix].

Each sub-layer reads a weighted sum of the streams and writes its output to all streams. If ``mixed`` is true,
a doubly stochastic matrix also mixes the streams.
"""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel


@record
class HyperConnection(Layer):
    """``x = Σ_i read_i · stream_i`` before and ``stream_j = write_j · y + Σ_i mix_ij · stream_i`` after a sub-layer.

    Attributes:
        d_model: width of each stream.
        n_streams: number of parallel streams.
        writes: whether the sub-layer output is written back to the streams (false before the final norm).
        mixed: whether a doubly stochastic matrix mixes the streams.
        rank: rank of the projection to one read weight per channel (Qwen); None for one read weight per stream.
        write_scale: upper bound of the write weights.
        iterations: number of Sinkhorn iterations for the mixing matrix.
        eps: epsilon added to the read and mixing weights, and to the write weights if not mixed.
        norm_eps: epsilon of the norm on the streams.
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

    AXES: ClassVar[str] = """
    hr  n_hyper        hyper-connection weights for reading, writing and mixing residual streams
    hp  n_hyper_parts  sets of hyper-connection weights: for reading, writing and mixing
    """
    PARALLEL: ClassVar[Parallel] = Parallel(whole="rank hs ht hr hp")
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"written": "output of the sub-layer", "rounds": "Sinkhorn iterations"}
    SHRINK: ClassVar[dict[str, str]] = {"n_streams": "at most 4", "iterations": "keep"}

    def declare(self) -> Declaration:
        """Declare the read, write and mixing weights, the mixed streams and the sub-layer input."""
        declaration = Declaration({"d": self.d_model, "hs": self.n_streams, "ht": self.n_streams})
        (self._by_channel if self.rank else self._by_stream)(declaration)
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
