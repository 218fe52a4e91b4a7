"""Linear attention with a decaying state: GLA [yang2023gla, Section 4] and retention [sun2023, Section 2]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.part import Part
from ....core.record import record
from ....core.traits import Parallel, Roles
from ....layers._attention_parts import projection
from ....layers.parts.rope import Rope, fit_rope

if TYPE_CHECKING:
    from ....core.shrink import Sizes


@record
class GatedLinearAttention(Layer):
    """``S = diag(α) S + k vᵀ; y = (norm(Sᵀ q) * silu(x wgate)) wo`` per head.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads.
        d_k: width of each query and key head.
        d_v: width of each value head.
        decay_rank: rank of the projection to one decay per key channel (GLA). None: one fixed decay per head
            (retention).
        decay_scale: factor of the logarithm of the decay.
        rope: rotary positions of queries and keys.
        gated: whether the normalised output has a gate.
        norm_eps: epsilon of the norm.
    """

    d_model: int
    n_heads: int
    d_k: int
    d_v: int
    decay_rank: int | None = None
    decay_scale: float = 1.0
    rope: Rope | None = None
    gated: bool = True
    norm_eps: float = 1e-6

    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", whole="e v rank")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads", head_widths="d_k d_v")
    IS_RECURRENT: ClassVar[bool] = True
    PARTS: ClassVar[dict[str, tuple[type[Part], ...]]] = {"rope": (Rope,)}

    def _complete(self) -> None:
        fit_rope(self, "d_k")

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return an even width of queries and keys for the small test model if they are rotated."""
        if self.rope is None:
            return {}
        from ....layers._small_sizes import shrink_rope  # needed only by tests

        head = sizes.size("rotated_head", self.d_k, 4, 6, 10)
        return {"d_k": head, "rope": shrink_rope(self, small.get("rope"), head, self.d_k)}

    def declare(self) -> Declaration:
        """Declare the projections, the decay, the recurrence, the norm per head, the gate and the output."""
        axes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "e": self.d_k, "v": self.d_v}
        axes |= {"r": self.rope.dim or self.d_k} if self.rope else {}
        axes |= {"rank": self.decay_rank} if self.decay_rank else {}
        declaration = Declaration(axes)
        for name, width in (("q", "e"), ("k", "e"), ("v", "v")):
            declaration.weights(f"w{name}[d | h {width}]")
            declaration.equations(*projection(name, "b q", "d", f"h {width}", bias=False))
        declaration.equations("q[b q h e] = scale(q)", *(f"{n}[b q h r] = rope({n})" for n in "qk" if self.rope))
        if self.decay_rank:
            declaration.weights("wa_in[d | rank]", "wa[rank | h e]", "ba[h e]")
            declaration.equations("ar[b q rank] = x[b q d] wa_in[d rank]", "a[b q h e] = ar[b q rank] wa[rank h e]")
            steps = ("add(a, ba)", "softplus(a)", "scale(a)", "exp(a)")
            declaration.equations(*(f"a[b q h e] = {step}" for step in steps))
        decay = ", a" if self.decay_rank else ""
        declaration.weights("norm[v]", *["wgate[d | h v]"] * self.gated, "wo[h v | d]")
        declaration.equations(
            f"o[b q h e v] = decayed_state(S, q, k, v{decay})",
            "o[b q h v] = copy(o)",  # includes the sum over e
            "o[b q h v] = rmsnorm(o, norm)",
        )
        if self.gated:
            declaration.equations(
                "g[b q h v] = x[b q d] wgate[d h v]", "g[b q h v] = silu(g)", "o[b q h v] = mul(o, g)"
            )
        declaration.equations("y[b q d] = o[b q h v] wo[h v d]")
        declaration.state("S[b h e v]", "recurrent")
        return declaration
