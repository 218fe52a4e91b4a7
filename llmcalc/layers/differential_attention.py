"""Attention whose heads work in pairs: one softmax less a learned share of the other [ye2024]."""

from __future__ import annotations

from ..core.declaration import Declaration
from ..core.errors import SizeError
from ..core.record import record
from .attention import FIELDS, Attention

_PAIR = 2


@record
class DifferentialAttention(Attention):
    __doc__ = f"""``y = norm((softmax(q1 k1ᵀ) - λ softmax(q2 k2ᵀ)) (v1, v2)) · wo``, pair by pair of heads.

    {FIELDS}"""

    def __post_init__(self) -> None:
        Attention.__post_init__(self)
        if (self.n_kv_heads or 0) % _PAIR:
            raise SizeError(f"n_kv_heads ({self.n_kv_heads}) is odd, and heads come in pairs", where=self.kind())

    def _axes(self) -> dict[str, int | str]:
        pairs: dict[str, int | str] = {"hp": self.n_heads // _PAIR, "gp": (self.n_kv_heads or 0) // _PAIR, "vp": _PAIR}
        return Attention._axes(self) | pairs | {"one": 1}

    def _tensors(self, declaration: Declaration) -> None:
        Attention._tensors(self, declaration)
        names = ("lambda_q1", "lambda_k1", "lambda_q2", "lambda_k2")
        declaration.weights(*(f"{name}[e]" for name in names), unused=self.unused)

    def _attend(self) -> list[str]:
        scores = "s[b h q k] = q[b q h e] k[b k g e] | g:h core"
        return [
            scores,
            "s[b h q k] = scale(s) | core",
            *self._softmax("k", "s"),
            "both[b k gp vp v] = copy(v)",
            f"{scores} torch",  # once more, for the other half of the values
            "o[b h q vp v] = p[b h q k] both[b k gp vp v] | gp:h core",
        ]

    def _output(self) -> list[str]:
        return [
            "share[e] = mul(lambda_q1, lambda_k1)",
            "less[e] = mul(lambda_q2, lambda_k2)",
            "share[one] = exp(share)",
            "less[one] = exp(less)",
            "o[b h q vp v] = mul(o, share, less)",
            "pair[b hp q vp v] = add(o)",
            "pair[b hp q vp v] = rmsnorm(pair)",
            "o[b q h v] = copy(pair)",
            *Attention._output(self),
        ]
