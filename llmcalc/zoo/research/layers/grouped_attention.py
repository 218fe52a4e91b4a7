"""Attention with block-diagonal projections (SqueezeBERT) [iandola2020]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.record import record
from ....layers._attention_parts import MultiHead
from .grouped_linear import GroupedLinear


@record
class GroupedAttention(MultiHead):
    """Multi-head attention with grouped projections and biases, without a causal mask.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads, each of width d_model / n_heads.
        q_groups, k_groups, v_groups, o_groups: number of groups of each projection.
    """

    q_groups: int = 1
    k_groups: int = 1
    v_groups: int = 1
    o_groups: int = 1

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"q": "the queries", "k": "the keys", "v": "the values"}
    SHRINK: ClassVar[dict[str, str]] = {"q_groups k_groups v_groups o_groups": "3 2"}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("q_groups", "k_groups", "v_groups", "o_groups"):
            self.must_divide(name, "d_model")

    def declare(self) -> Declaration:
        """Declare four grouped projections, the scores, and the weighted values."""
        declaration = Declaration({"h": self.n_heads, "e": self.d_model // self.n_heads})
        for name, source, result in (("q", "x", "q"), ("k", "x", "k"), ("v", "x", "v"), ("o", "o", "y")):
            part = GroupedLinear(self.d_model, self.d_model, getattr(self, f"{name}_groups"))
            declaration.include(name, part, of=source, gives=result)
        declaration.equations("s[b h q k] = q[b q h e] k[b k h e]", "s[b h q k] = scale(s)")
        declaration.equations("p[b h q k] = softmax(s)", "o[b q h e] = p[b h q k] v[b k h e]")
        return declaration
