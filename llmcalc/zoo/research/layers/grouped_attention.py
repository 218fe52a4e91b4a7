"""Attention whose projections are block-diagonal: SqueezeBERT's [iandola2020]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from .grouped_linear import GroupedLinear


@record
class GroupedAttention(Layer):
    """Attention as usual between projections of groups of channels, all with a bias; no causal mask.

    Attributes:
        d_model: width of input and output.
        n_heads: heads, of width d_model / n_heads.
        q_groups, k_groups, v_groups, o_groups: groups of the four projections.
    """

    d_model: int
    n_heads: int
    q_groups: int = 1
    k_groups: int = 1
    v_groups: int = 1
    o_groups: int = 1

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {
        **Layer.EXTERNAL_TENSORS,
        "q": "projected queries",
        "k": "projected keys",
        "v": "projected values",
    }

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("n_heads", "d_model")
        for name in ("q_groups", "k_groups", "v_groups", "o_groups"):
            self.must_divide(name, "d_model")

    def declare(self) -> Declaration:
        """Four projections as parts; scores and mix."""
        declaration = Declaration({"h": self.n_heads, "e": self.d_model // self.n_heads})
        for name, of, gives in (("q", "x", "q"), ("k", "x", "k"), ("v", "x", "v"), ("o", "o", "y")):
            groups = getattr(self, f"{name}_groups")
            declaration.include(name, GroupedLinear(self.d_model, self.d_model, groups).declare(), of=of, gives=gives)
        declaration.equations("s[b h q k] = q[b q h e] k[b k h e]", "s[b h q k] = scale(s)")
        declaration.equations("p[b h q k] = softmax(s)", "o[b q h e] = p[b h q k] v[b k h e]")
        return declaration
