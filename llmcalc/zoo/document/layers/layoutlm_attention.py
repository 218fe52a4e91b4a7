"""Attention with relative position biases for text order and page layout [xu2020, Section 2.1]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.record import record
from ....core.traits import Parallel
from ....layers._attention_parts import check_bidirectional, inherit_docs
from ....layers.attention import Attention

_TABLES = {"distance_bias[u | h]": "distance_buckets"}
_TABLES |= dict.fromkeys(("across_bias[ub | h]", "down_bias[ub | h]"), "box_buckets")


@inherit_docs
@record
class LayoutLmAttention(Attention):
    """``y = softmax(q kᵀ / sqrt(d_head) + bias) v · wo``. All layers of a stack share the bias tables.

    Attributes:
        distance_buckets: number of buckets for the distance in the text; None: no bias.
        distance_most: distance at which the last bucket starts.
        box_buckets: number of buckets for the distances between left edges and between lower edges; None: no bias.
        box_most: distance at which the last bucket starts.
        bias_scaled: whether the biases are also divided by ``sqrt(d_head)`` (LayoutLMv3).
    """

    causal: bool = False
    distance_buckets: int | None = None
    distance_most: int = 128
    box_buckets: int | None = None
    box_most: int = 256
    bias_scaled: bool = False

    AXES: ClassVar[str] = """
    ub  n_box_buckets  buckets of the distance between box edges
    """
    PARALLEL: ClassVar[Parallel] = Parallel(whole="ub")
    SHRINK: ClassVar[dict[str, str]] = {"distance_buckets box_buckets": "10 12", "distance_most box_most": "11 13"}

    def _complete(self) -> None:
        Attention._complete(self)
        check_bidirectional(self)

    def _axes(self) -> dict[str, int | str]:
        buckets = {"u": self.distance_buckets, "ub": self.box_buckets}
        return Attention._axes(self) | {axis: count for axis, count in buckets.items() if count}

    def _biases(self) -> list[str]:
        return [spec for spec, count in _TABLES.items() if getattr(self, count)]

    def _tensors(self, declaration: Declaration) -> None:
        Attention._tensors(self, declaration)
        for spec in self._biases():
            declaration.weights(spec, share=f".{spec.partition('[')[0]}", unused=self.unused)

    def _score(self) -> list[str]:
        biases = [f"s[b h q k] = add(s, {spec.partition('[')[0]}) | core" for spec in self._biases()]
        return [*Attention._score(self), *biases]
