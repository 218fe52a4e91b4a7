"""Attention with a mask that is computed from the values of all tokens so far (Doge)."""

from __future__ import annotations

from ....core.declaration import Declaration
from ....core.record import record
from ....layers._attention_parts import inherit_docs
from ....layers.attention import Attention


@inherit_docs
@record
class DynamicAttention(Attention):
    """Attention to whose scores ``exp(A softplus(v wdt))`` is added, a number for each key and its head.

    Beyond a number of tokens only those with the largest such numbers are looked at; which, depends on the values, so
    all scores are computed.

    Attributes:
        keep_window: tokens that a query looks at, of those that it may see; None: all.
    """

    keep_window: int | None = None

    def _axes(self) -> dict[str, int | str]:
        return Attention._axes(self) | {"gm": self.n_kv_heads or self.n_heads}

    def _tensors(self, declaration: Declaration) -> None:
        Attention._tensors(self, declaration)
        declaration.weights("wdt[g v | gm]", "A[gm]", *(["bdt[gm]"] if self.v_bias else []), unused=self.unused)

    def _attend(self) -> list[str]:
        keys = "s" if self.cross else "k"
        made, scores = f"dt[b {keys} gm]", f"s[b h q {keys}]"
        mask = [
            f"{made} = v[b {keys} g v] wdt[g v gm]",
            *([f"{made} = add(dt, bdt)"] if self.v_bias else []),
            f"{made} = softplus(dt)",
            f"{made} = mul(dt, A)",
            f"{made} = exp(dt)",
        ]
        first, scaled, *rest = Attention._attend(self)
        return [*mask, first, scaled, f"{scores} = add(s, dt) | core", *rest]
