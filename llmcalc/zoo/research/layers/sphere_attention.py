"""Attention on the unit sphere (nGPT) [loshchilov2024]."""

from __future__ import annotations

from ....core.declaration import Declaration
from ....core.record import record
from ....layers._attention_parts import inherit_docs
from ....layers.attention import Attention


@inherit_docs
@record
class SphereAttention(Attention):
    """Attention with learned query and gate scales and L2 normalisation of the concatenated head outputs.

    Attributes:
        q_gain, gate_gain: gains of the learned scales. Queries and gates are multiplied by ``(gain · scale)²``.
    """

    q_gain: float = 1.0
    gate_gain: float = 1.0

    def _tensors(self, declaration: Declaration) -> None:
        Attention._tensors(self, declaration)
        scales = ["q_scale[h e]", *([f"gate_scale[{self.gate.axes()}]"] if self.gate else [])]
        declaration.weights(*scales, unused=self.unused)

    def _place(self) -> list[str]:
        return [*Attention._place(self), "q[b q h e] = mul(q, q_scale)"]

    def _gate_scale(self) -> str:
        return "gate_scale"

    def _heads(self) -> list[str]:
        return [*Attention._heads(self), "o[b q h v] = l2norm(o) | row:q"]
