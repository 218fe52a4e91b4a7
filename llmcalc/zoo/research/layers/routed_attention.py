"""Mixture of attention heads (JetMoE) [zhang2022moa, shen2024] with query and output projections per expert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.part import Part
from ....core.record import record
from ....core.traits import Parallel, Roles, Stored
from ....layers.parts.rope import Rope, check_rope

if TYPE_CHECKING:
    from ....core.shrink import Sizes


@record
class RoutedAttention(Layer):
    """``y = Σ_{i in top_k} p_i · softmax(x wq_i kᵀ / sqrt(d_head)) v · wo_i``. All experts share keys and values.

    Attributes:
        d_model: width of input and output.
        n_kv_heads: number of key and value heads, equal to the number of query heads per expert.
        d_head: width of a head.
        n_experts: number of experts.
        top_k: number of experts per token.
        out_bias: whether the output has a bias.
        rope: rotary positions of queries and keys.
    """

    d_model: int
    n_kv_heads: int
    d_head: int
    n_experts: int
    top_k: int
    out_bias: bool = False
    rope: Rope = Rope()

    PARALLEL: ClassVar[Parallel] = Parallel(replicated="g", expert="x", whole="e")
    STORED: ClassVar[Stored] = Stored(values="v")
    ROLES: ClassVar[Roles] = Roles(
        kv_heads="n_kv_heads",
        head_widths="d_head",
        experts="n_experts",
        active_experts="top_k",
    )
    SHRINK: ClassVar[dict[str, str]] = {"n_kv_heads": "3 2 5 7"}
    PARTS: ClassVar[dict[str, tuple[type[Part], ...]]] = {"rope": (Rope,)}

    def _complete(self) -> None:
        check_rope(self, "d_head")
        self.must_not_exceed("top_k", "n_experts")

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return test expert counts that leave some experts inactive, and an even head width."""
        from ....layers._small_sizes import shrink_experts, shrink_rope, shrink_rotated_head  # needed only by tests

        head = shrink_rotated_head(self, sizes)
        return {"d_head": head, "rope": shrink_rope(self, small.get("rope"), head), **shrink_experts(self, sizes)}

    def declare(self) -> Declaration:
        """Declare the router, expert queries, shared keys and values, scores, weighted values, and expert outputs."""
        axes: dict[str, int | str] = {"d": self.d_model, "g": self.n_kv_heads, "e": self.d_head, "t": "c + q"}
        declaration = Declaration(axes | {"x": self.n_experts, "j": self.top_k})
        declaration.mask = "causal"
        declaration.weights("router[d | x]", "wk[d | g e]", "wv[d | g e]", *(["bo[d]"] if self.out_bias else []))
        declaration.weights("wq[x; d | g e]", "wo[x; g e | d]", active=("x", "j"))
        declaration.equations(*_EQUATIONS, *(["y[b q d] = add(y, bo)"] if self.out_bias else []))
        declaration.state("k[b t g e]")
        declaration.state("v[b t g e]")
        return declaration


_EQUATIONS = [
    "r[b q x] = x[b q d] router[d x]",
    "chosen[b q x] = top_k(r)",
    "share[b q j] = gather(r)",
    "share[b q j] = softmax(share)",
    "xe[b q j d] = gather(x)",
    "q[b q j g e] = xe[b q j d] wq[x d g e] | x:j",
    "q[b q j g e] = keep(q) | prefill torch",  # PyTorch sorts the queries by token
    "k[b q g e] = x[b q d] wk[d g e]",
    "v[b q g e] = x[b q d] wv[d g e]",
    "q[b q j g e] = rope(q)",
    "k[b q g e] = rope(k)",
    "kr[b k j g e] = gather(k) | torch",  # PyTorch repeats keys and values for each expert
    "vr[b k j g e] = gather(v) | torch",
    "s[b j g q k] = q[b q j g e] k[b k g e] | core model",
    "s[b j g q k] = q[b q j g e] kr[b k j g e] | core torch",
    "s[b j g q k] = scale(s) | core",
    "p[b j g q k] = softmax(s) | core",
    "p[b j g q k] = dropout(p) | core dropout",
    "o[b q j g e] = p[b j g q k] v[b k g e] | core model",
    "o[b q j g e] = p[b j g q k] vr[b k j g e] | core torch",
    "statistics[b j g q] = log_sum_exp(o) | flash",
    "z[b q j d] = o[b q j g e] wo[x g e d] | x:j",
    "z[b q j d] = mul(z, share)",
    "z[b q j d] = keep(z) | prefill torch",
    "y[b q d] = add(z[b q j d])",
]
