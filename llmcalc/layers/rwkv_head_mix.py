"""RWKV time mixing with matrix-valued states, as in Eagle (RWKV-5) and Finch (RWKV-6) [peng2024, Section 4]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel, Roles

if TYPE_CHECKING:
    from ..core.shrink import Sizes


@record
class RwkvHeadMix(Layer):
    """Per-head recurrence ``S = diag(w) S + k vᵀ; y = (silu(g) * norm(r (S + diag(u) k vᵀ))) wo``.

    Each projection reads a mix of the current and the previous token.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads; must divide d_model.
        mix_rank: rank of the data-dependent mixing; None for learned vectors (Eagle).
        decay_rank: rank of the data-dependent decay w; None for a learned vector.
    """

    d_model: int
    n_heads: int
    mix_rank: int | None = None
    decay_rank: int | None = None

    AXES: ClassVar[str] = """
    nm  n_mixes  number of token-shift mixes of each token with the previous token
    """
    WIDTH_MULTIPLE: ClassVar[int] = 6  # three heads of an even width
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", whole="nm rank e v R")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads")
    IS_RECURRENT: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("n_heads", "d_model")

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return a head count that divides all widths of the small test model."""
        return {"n_heads": sizes.N_PARTS}

    def declare(self) -> Declaration:
        """Declare the token mixing, five projections, decay, bonus, recurrence, per-head norm and state matrix."""
        head = self.d_model // self.n_heads
        axes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "e": head, "v": head}
        declaration = Declaration(axes)
        self._mix(declaration)
        for name, width in (("r", "e"), ("k", "e"), ("v", "v"), ("g", "v")):
            declaration.weights(f"w{name}[d | h {width}]")
            declaration.equations(f"{name}[b q h {width}] = x{name}[b q d] w{name}[d h {width}]")
        declaration.weights("wo[h v | d]", "decay[h e]", "first[h e]", "norm[h v]", "norm_b[h v]")
        if self.decay_rank:
            axes["R"] = self.decay_rank
            declaration.weights("decay_in[d | R]", "decay_out[R | h e]")
            source = "xw" if self.mix_rank else "x"
            declaration.equations(f"wl[b q R] = {source}[b q d] decay_in[d R]", "wl[b q R] = tanh(wl)")
            declaration.equations("w[b q h e] = wl[b q R] decay_out[R h e]", "w[b q h e] = add(w, decay)")
        declaration.equations("w[b q h e] = exp(w)" if self.decay_rank else "w[h e] = exp(decay)")
        declaration.equations(*_RECURRENCE)
        declaration.state("S[b h e v]", "recurrent")
        declaration.state("shift[b d]", "recurrent")
        return declaration

    def _mix(self, declaration: Declaration) -> None:
        names = "rkvg" + ("w" if self.mix_rank and self.decay_rank else "")
        declaration.weights(*(f"mix_{name}[d]" for name in names))
        if not self.mix_rank:
            for name in names:
                declaration.equations(f"x{name}[b q d] = mul(x, mix_{name})", f"x{name}[b q d] = add(x{name}, shifted)")
            return
        declaration.axes |= {"nm": len(names), "rank": self.mix_rank}
        declaration.weights("mix_x[d]", "mix_in[d | nm rank]", "mix_out[nm; rank | d]")
        declaration.equations("m[b q d] = mul(x, mix_x)", "m[b q d] = add(m, shifted)")
        declaration.equations("ml[b q nm rank] = m[b q d] mix_in[d nm rank]", "ml[b q nm rank] = tanh(ml)")
        declaration.equations("mixes[b q nm d] = ml[b q nm rank] mix_out[nm rank d]")
        for name in names:
            declaration.equations(f"m{name}[b q d] = add(mixes, mix_{name})", f"x{name}[b q d] = mul(x, m{name})")
            declaration.equations(f"x{name}[b q d] = add(x{name}, shifted)")


_RECURRENCE = [
    "o[b q h e v] = matrix_wkv(S, r, k, v, w, first)",
    "o[b q h v] = copy(o)",  # includes the sum over e
    "o[b q h v] = layernorm(o, norm, norm_b)",
    "g[b q h v] = silu(g)",
    "o[b q h v] = mul(o, g)",
    "y[b q d] = o[b q h v] wo[h v d]",
]
