"""Attention with a mask that is computed from the values of all tokens so far (Doge)."""

from __future__ import annotations

from ..core.declaration import Declaration
from ..core.record import record
from .attention import FIELDS, Attention


@record
class DynamicAttention(Attention):
    __doc__ = f"""Attention to whose scores ``exp(A softplus(v wdt))`` is added, a number for each key and its head.

    Beyond a number of tokens only those with the largest such numbers are looked at; which, depends on the values, so
    all scores are computed.

    {FIELDS}"""

    def _axes(self) -> dict[str, int | str]:
        return Attention._axes(self) | {"gm": self.n_kv_heads or self.n_heads}

    def _tensors(self, declaration: Declaration) -> None:
        Attention._tensors(self, declaration)
        declaration.weights("wdt[g v | gm]", "A[gm]", *(["bdt[gm]"] if self.v_bias else []), unused=self.unused)

    def _attend(self) -> list[str]:
        mask = [
            "dt[b k gm] = v[b k g v] wdt[g v gm]",
            *(["dt[b k gm] = add(dt, bdt)"] if self.v_bias else []),
            "dt[b k gm] = softplus(dt)",
            "dt[b k gm] = mul(dt, A)",
            "dt[b k gm] = exp(dt)",
        ]
        scores, scaled, *rest = Attention._attend(self)
        return [*mask, scores, scaled, "s[b h q k] = add(s, dt) | core", *rest]
