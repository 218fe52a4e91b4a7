"""Attention with additional scores for the relative positions of token boxes [hong2021, Section 3.1]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.record import record
from ....layers._attention_parts import check_bidirectional, inherit_docs
from ....layers.attention import Attention


@inherit_docs
@record
class BoxAttention(Attention):
    """``y = softmax((q kᵀ + q rᵀ) / sqrt(d_head)) v · wo``, where r is the ``box_pairs`` vector of a token pair."""

    causal: bool = False

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"pairs": "the relative position of each pair of boxes"}

    def _complete(self) -> None:
        Attention._complete(self)
        check_bidirectional(self)

    def declare(self) -> Declaration:
        """Declare attention with additional scores for pairs of boxes."""
        declaration = Attention.declare(self)
        declaration.elsewhere = (*declaration.elsewhere, *([] if self.unused else ["pairs"]))
        return declaration

    def _pair_scores(self) -> list[str]:
        return ["sp[b h q k] = q[b q h e] pairs[b q k e]", "s[b h q k] = add(s, sp)"]
