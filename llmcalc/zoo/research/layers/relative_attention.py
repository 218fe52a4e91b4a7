"""Attention with relative positions and a memory of hidden states [dai2019, Section 3.3; yang2019]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.record import record
from ....core.traits import Parallel
from ....layers._attention_parts import RELATIVE_ATTENTION, RELATIVE_KEYS, MultiHead


@record
class RelativeAttention(MultiHead):
    """``softmax(((q + u) kᵀ + shift((q + w) rᵀ)) / sqrt(d_head)) v · wo``, where r holds projected sinusoids.

    The memory stores layer inputs. Every step recomputes keys and values from the memory.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads, each of width d_model / n_heads.
        causal: whether later tokens and their distances are masked (``uni`` in XLNet).
        max_distance: distance to which larger distances are clipped (``clamp_len`` in XLNet); None: no limit.
        memory: maximum number of cached hidden states; None: all.
        n_segments: number of learned vectors for pairs of segments; used only with segment ids.
    """

    causal: bool = False
    memory: int | None = None
    n_segments: int | None = None
    max_distance: int | None = None

    PARALLEL: ClassVar[Parallel] = Parallel(whole="S")
    SHRINK: ClassVar[dict[str, str]] = {"max_distance": "11 13"}

    def declare(self) -> Declaration:
        """Declare the token and distance projections, the content and position scores, and the output."""
        axes = self._head_axes() | {"k": "c + q", "t": "c + q"}
        if self.memory:
            axes |= {"w": self.memory, "k": "min(c, w) + q", "t": "min(c + q, w)"}
        axes["rp"] = ("min(c, w)" if self.memory else "c") + (" + q + 1" if self.causal else " + q + q")
        declaration = Declaration(axes)
        declaration.weights("wq[d; h; e]", "wk[d; h; e]", "wv[d; h; e]", "wo[d; h; e]", "wr[d; h; e]")
        declaration.weights("u[h; e]", "w[h; e]")
        if self.n_segments:
            axes["S"] = self.n_segments
            declaration.weights("segment_bias[h; e]", "segment[S; h; e]", unused=True)
        declaration.equations(*_PROJECT, *RELATIVE_KEYS, *RELATIVE_ATTENTION, "y[b q d] = o[b q h e] wo[d h e]")
        declaration.state("memory[b t d]")
        declaration.mask = "causal" if self.causal else ""
        return declaration


_PROJECT = [
    "q[b q h e] = x[b q d] wq[d h e]",
    "k[b k h e] = x[b k d] wk[d h e]",
    "v[b k h e] = x[b k d] wv[d h e]",
]
