"""Attention with a bias computed from the values of all previous tokens (Doge)."""

from __future__ import annotations

from ....core.declaration import Declaration
from ....core.record import record
from ....layers._attention_parts import inherit_docs
from ....layers.attention import Attention


@inherit_docs
@record
class DynamicAttention(Attention):
    """Attention with ``exp(A softplus(v wdt))`` per key and head added to the scores.

    In longer sequences, a query only attends to the keys with the largest biases. The biases depend on the values, so
    all scores are computed.

    Attributes:
        keep_window: number of tokens that a query attends to; None: all.
    """

    keep_window: int | None = None

    def _axes(self) -> dict[str, int | str]:
        return Attention._axes(self) | {"gm": self.n_kv_heads or self.n_heads}

    def _tensors(self, declaration: Declaration) -> None:
        Attention._tensors(self, declaration)
        declaration.weights("wdt[g v | gm]", "A[gm]", *(["bdt[gm]"] if self.v_bias else []), unused=self.unused)

    def _attend(self) -> list[str]:
        keys = "s" if self.cross else "k"
        bias = f"dt[b {keys} gm]"
        lines = [f"{bias} = v[b {keys} g v] wdt[g v gm]", *([f"{bias} = add(dt, bdt)"] if self.v_bias else [])]
        lines += [f"{bias} = softplus(dt)", f"{bias} = mul(dt, A)", f"{bias} = exp(dt)"]
        first, scaled, *rest = Attention._attend(self)
        return [*lines, first, scaled, f"s[b h q {keys}] = add(s, dt) | core", *rest]
