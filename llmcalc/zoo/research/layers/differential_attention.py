"""Attention whose heads work in pairs: one softmax less a learned share of the other [ye2024]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.errors import SizeError
from ....core.record import record
from ....layers._attention_parts import inherit_docs
from ....layers.attention import Attention

_PAIR = 2


@inherit_docs
@record
class DifferentialAttention(Attention):
    """``y = norm((softmax(q1 k1ᵀ) - λ softmax(q2 k2ᵀ)) (v1, v2)) · wo``, pair by pair of heads.

    Attributes:
        pair_norm_eps: added under the root of the norm on each pair.
    """

    pair_norm_eps: float = 1e-5

    HEADS_TOGETHER: ClassVar[int] = _PAIR

    def __post_init__(self) -> None:
        Attention.__post_init__(self)
        for name in ("n_heads", "n_kv_heads"):
            if getattr(self, name) % _PAIR:
                raise SizeError(f"{name} is {getattr(self, name)}; it is even: heads come in pairs", where=self.kind())
        if self.prefix:
            raise SizeError("prefix is not understood for pairs of heads", where=self.kind())

    def _axes(self) -> dict[str, int | str]:
        pairs: dict[str, int | str] = {"pq": self.n_heads // _PAIR, "pg": (self.n_kv_heads or 0) // _PAIR, "pv": _PAIR}
        return Attention._axes(self) | pairs | {"one": 1}

    def _tensors(self, declaration: Declaration) -> None:
        Attention._tensors(self, declaration)
        names = ("lambda_q1", "lambda_k1", "lambda_q2", "lambda_k2")
        declaration.weights(*(f"{name}[e]" for name in names), unused=self.unused)

    def _attend(self) -> list[str]:
        """As published each head's softmax meets both values of a pair; torch computes it again for the second."""
        lines, keys = Attention._attend(self), "s" if self.cross else "k"
        mixed = lines.index(f"o[b q h v] = p[b h q {keys}] v[b {keys} g v] | g:h core")
        lines[mixed : mixed + 1] = [
            f"both[b {keys} pg pv v] = copy(v)",
            f"{lines[0]} torch",
            f"o[b q h pv v] = p[b h q {keys}] both[b {keys} pg pv v] | pg:h core",
        ]
        return lines

    def _output(self) -> list[str]:
        return [
            "share[e] = mul(lambda_q1, lambda_k1)",
            "less[e] = mul(lambda_q2, lambda_k2)",
            "share[one] = exp(share)",
            "less[one] = exp(less)",
            "second[b q pq pv v] = copy(o) | model",
            "second[b q h pv v] = copy(o) | torch",  # a view of all heads
            "second[b q pq pv v] = mul(second, share, less)",
            "pair[b q pq pv v] = add(o, second)",
            "pair[b q pq pv v] = rmsnorm(pair) | row:pq",
            "pair[b q pq pv v] = scale(pair)",
            "o[b q h v] = copy(pair)",
            *Attention._output(self),
        ]
