"""Differential attention [ye2024]. Each pair of heads computes a softmax minus a second, scaled softmax."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.record import record
from ....layers._attention_parts import add_softmax, inherit_docs
from ....layers.attention import Attention


@inherit_docs
@record
class DifferentialAttention(Attention):
    """``y = norm((softmax(q1 k1ᵀ) - λ softmax(q2 k2ᵀ)) (v1, v2)) · wo`` for each pair of heads.

    Attributes:
        pair_norm_eps: epsilon of the norm for each pair of heads.
    """

    pair_norm_eps: float = 1e-5

    HEADS_TOGETHER: ClassVar[int] = 2

    AXES: ClassVar[str] = """
    pq  n_head_pairs     number of pairs of query heads
    pg  n_kv_head_pairs  number of pairs of key/value heads
    pv  heads_per_pair   number of heads in a pair
    """

    def _complete(self) -> None:
        Attention._complete(self)
        for name in ("n_heads", "n_kv_heads"):
            if getattr(self, name) % 2:
                raise self.size_error(name, f"must be even, not {getattr(self, name)}")
        if self.kv and self.kv.prefix:
            raise self.size_error("kv.prefix", "is not supported")

    def undeclared_collectives(self) -> str:
        """Return the exchanges that depend on how the heads of a pair are distributed over ranks."""
        return "some gradients of pairs of heads on different ranks"

    def _axes(self) -> dict[str, int | str]:
        pairs: dict[str, int | str] = {"pq": self.n_heads // 2, "pg": (self.n_kv_heads or 0) // 2, "pv": 2}
        return Attention._axes(self) | pairs | {"one": 1}

    def _tensors(self, declaration: Declaration) -> None:
        Attention._tensors(self, declaration)
        names = ("q1", "k1", "q2", "k2")
        declaration.weights(*(f"lambda_{name}[e]" for name in names), unused=self.unused)

    def _sum(self) -> list[str]:
        """Apply a head's attention weights to both values of its pair. PyTorch computes the weights twice."""
        keys, in_fp32 = self._keys(), bool(self.implementation and self.implementation.softmax_in_fp32)
        second = [line for line in add_softmax(f"b h q {keys}", "s", in_fp32, "p2") if "model" not in line.split()]
        return [
            f"both[b {keys} pg pv v] = copy(v)",
            "q[b q h e] = gather(q) | core torch",  # other tensors with the same values
            f"k[b {keys} g e] = gather(k) | core torch",
            f"{self._product()} torch",
            *(line if "torch" in line.split() else f"{line} torch" for line in second),
            f"p2[b h q {keys}] = keep(p2) | core torch",
            f"o[b q h pv v] = p[b h q {keys}] both[b {keys} pg pv v] | pg:h core",
        ]

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
