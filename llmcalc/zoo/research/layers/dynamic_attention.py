"""Dynamic mask attention (Doge) with a score bias computed from the values."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.record import record
from ....core.traits import Parallel
from ....layers._attention_parts import inherit_docs
from ....layers.attention import Attention


@inherit_docs
@record
class DynamicAttention(Attention):
    """Attention that adds a bias of ``exp(A softplus(v wdt))`` per key and head to the scores.

    In sequences longer than ``keep_window``, a query attends only to the keys with the largest biases. All scores
    are still computed.

    Attributes:
        keep_window: maximum number of keys that a query attends to; None: all keys.
    """

    keep_window: int | None = None

    PARALLEL: ClassVar[Parallel] = Parallel(whole="gm")
    SHRINK: ClassVar[dict[str, str]] = {"keep_window": "6"}

    def _axes(self) -> dict[str, int | str]:
        return Attention._axes(self) | {"gm": self.n_kv_heads or self.n_heads}

    def _tensors(self, declaration: Declaration) -> None:
        Attention._tensors(self, declaration)
        declaration.weights("wdt[g v | gm]", "A[gm]", *(["bdt[gm]"] if self.v_bias else []), unused=self.unused)

    def _score(self) -> list[str]:
        keys = self._keys()
        bias = f"dt[b {keys} gm]"
        lines = [f"{bias} = v[b {keys} g v] wdt[g v gm]", *([f"{bias} = add(dt, bdt)"] if self.v_bias else [])]
        lines += [f"{bias} = softplus(dt)", f"{bias} = mul(dt, A)", f"{bias} = exp(dt)"]
        return [*lines, *Attention._score(self)]

    def _key_scores(self) -> list[str]:
        return [f"s[b h q {self._keys()}] = add(s, dt[b {self._keys()} gm]) | gm:h core"]
