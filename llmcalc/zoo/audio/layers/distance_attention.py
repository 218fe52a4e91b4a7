"""Bidirectional attention with projected sinusoidal relative positions [dai2019, Section 3.3; gulati2020]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles
from ....layers._attention_parts import RELATIVE_ATTENTION, RELATIVE_KEYS, derive_head_width, projection


@record
class DistanceAttention(Layer):
    """``y = softmax(((q + u) kᵀ + shift((q + w) rᵀ)) / sqrt(d_head)) v · wo``, where r are projected sinusoids.

    Conformers use this layer kind. Unlike ``relative_attention``, it is not causal and has no memory.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads.
        d_head: width of a head (default: d_model / n_heads).
        bias: whether the query, key, value and output projections have biases.
    """

    d_model: int
    n_heads: int
    d_head: int | None = None
    bias: bool = False

    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", whole="e")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads", head_widths="d_head")

    def _complete(self) -> None:
        derive_head_width(self)

    def declare(self) -> Declaration:
        """Declare the token and distance projections, the content and position scores, and the output projection."""
        sizes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "e": self.d_head or 0}
        declaration = Declaration({**sizes, "rp": "q + q - min(q, 1)"})
        declaration.weights("wq[d | h e]", "wk[d | h e]", "wv[d | h e]", "wo[h e | d]", "wr[d | h e]")
        declaration.weights("u[h; e]", "w[h; e]", *(["bq[h e]", "bk[h e]", "bv[h e]", "bo[d]"] if self.bias else []))
        for name, axis in zip("qkv", "qkk", strict=True):
            declaration.equations(*projection(name, f"b {axis}", "d", "h e", self.bias))
        declaration.equations(*RELATIVE_KEYS, *RELATIVE_ATTENTION, "y[b q d] = o[b q h e] wo[h e d]")
        declaration.equations(*(["y[b q d] = add(y, bo)"] if self.bias else []))
        return declaration
