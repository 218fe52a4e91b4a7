"""RWKV time mixing and channel mixing. Versions 4 [peng2023, Section 3.1], 5 and 6 [peng2024, Section 4].

Every projection reads a mix of the current and the previous token.
"""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record
from ..core.traits import Parallel, Roles
from ._attention_parts import MultiHead

SHIFTED = "previous[b q d] = keep(x) | prefill torch"  # PyTorch copies the input, shifted by a token


@record
class RwkvChannelMix(Layer):
    """Channel mixing: ``y = sigmoid(xr wr) * (relu²(xk wk) wv)``, a feed-forward layer with a receptance gate.

    Attributes:
        d_model: width of input and output.
        d_ff: hidden width.
    """

    d_model: int
    d_ff: int

    KIND: ClassVar[str] = "rwkv_channel_mix"
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="f", whole="in")
    ROLES: ClassVar[Roles] = Roles(hidden="d_ff")
    IS_RECURRENT: ClassVar[bool] = True

    def declare(self) -> Declaration:
        """Declare the key, value and receptance projections, and a state that holds the previous token."""
        declaration = Declaration({"d": self.d_model, "f": self.d_ff, "in": self.d_model})
        declaration.weights("mix_k[d]", "mix_r[d]", "wk[d | f]", "wv[f | d]", "wr[in | d]")
        declaration.equations(SHIFTED, *_mix("xk", "mix_k"), *_mix("xr", "mix_r"))
        declaration.equations("k[b q f] = xk[b q d] wk[d f]", "k[b q f] = relu2(k)", "v[b q d] = k[b q f] wv[f d]")
        declaration.equations("r[b q d] = xr[b q in] wr[in d]", "r[b q d] = sigmoid(r)", "y[b q d] = mul(r, v)")
        declaration.state("shift[b d]", "recurrent")
        return declaration


@record
class RwkvTimeMix(Layer):
    """RWKV-4 time mixing ``y = (sigmoid(r) * wkv(k, v)) wo``: linear attention with a decay per channel.

    Attributes:
        d_model: width of input and output.
        d_inner: width of receptance, key and value (default: d_model).
    """

    d_model: int
    d_inner: int | None = None

    KIND: ClassVar[str] = "rwkv_time_mix"
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="i")
    ROLES: ClassVar[Roles] = Roles(hidden="d_inner")
    IS_RECURRENT: ClassVar[bool] = True

    def _complete(self) -> None:
        self.derive(d_inner=self.d_model)

    def declare(self) -> Declaration:
        """Declare four projections, three mixing vectors, the decay, the bonus and four state vectors."""
        declaration = Declaration({"d": self.d_model, "i": self.d_inner or self.d_model})
        declaration.weights("mix_k[d]", "mix_v[d]", "mix_r[d]", "decay[i]", "first[i]")
        declaration.weights("wk[d | i]", "wv[d | i]", "wr[d | i]", "wo[i | d]")
        declaration.equations(SHIFTED)
        for name in "kvr":
            declaration.equations(*_mix(f"x{name}", f"mix_{name}"), f"{name}[b q i] = x{name}[b q d] w{name}[d i]")
        declaration.equations("o[b q i] = wkv(v, k, decay, first)", "r[b q i] = sigmoid(r)", "o[b q i] = mul(o, r)")
        declaration.equations("y[b q d] = o[b q i] wo[i d]")
        declaration.state("shift[b d]", "recurrent")
        for name in ("numerator", "denominator", "maximum"):
            declaration.state(f"{name}[b i]", "recurrent")
        return declaration


@record
class RwkvHeadMix(MultiHead):
    """RWKV-5 and RWKV-6: ``S = diag(w) S + k vᵀ; y = (silu(g) * norm(r (S + diag(u) k vᵀ))) wo`` per head.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads; must divide d_model.
        mix_rank: rank of the data-dependent mixing; None for learned vectors (Eagle).
        decay_rank: rank of the data-dependent decay w; None for a learned vector.
    """

    mix_rank: int | None = None
    decay_rank: int | None = None

    KIND: ClassVar[str] = "rwkv_head_mix"
    AXES: ClassVar[str] = """
    nm  n_mixes  number of token-shift mixes of each token with the previous token
    """
    PARALLEL: ClassVar[Parallel] = Parallel(whole="nm rank v R")
    IS_RECURRENT: ClassVar[bool] = True

    def declare(self) -> Declaration:
        """Declare the token mixing, five projections, decay, bonus, recurrence, per-head norm and state matrix."""
        axes = self._head_axes() | {"v": self.d_model // self.n_heads}
        declaration = Declaration(axes)
        self._mix_inputs(declaration)
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
        declaration.equations(
            "o[b q h e v] = matrix_wkv(S, r, k, v, w, first)",
            "o[b q h v] = copy(o)",  # includes the sum over e
            "o[b q h v] = layernorm(o, norm, norm_b)",
            "g[b q h v] = silu(g)",
            "o[b q h v] = mul(o, g)",
            "y[b q d] = o[b q h v] wo[h v d]",
        )
        declaration.state("S[b h e v]", "recurrent")
        declaration.state("shift[b d]", "recurrent")
        return declaration

    def _mix_inputs(self, declaration: Declaration) -> None:
        names = "rkvg" + ("w" if self.mix_rank and self.decay_rank else "")
        declaration.weights(*(f"mix_{name}[d]" for name in names))
        if not self.mix_rank:
            for name in names:
                declaration.equations(*_mix(f"x{name}", f"mix_{name}"))
            return
        declaration.axes |= {"nm": len(names), "rank": self.mix_rank}
        declaration.weights("mix_x[d]", "mix_in[d | nm rank]", "mix_out[nm; rank | d]")
        declaration.equations(*_mix("m", "mix_x"))
        declaration.equations("ml[b q nm rank] = m[b q d] mix_in[d nm rank]", "ml[b q nm rank] = tanh(ml)")
        declaration.equations("mixes[b q nm d] = ml[b q nm rank] mix_out[nm rank d]")
        for name in names:
            declaration.equations(f"m{name}[b q d] = add(mixes, mix_{name})", *_mix(f"x{name}", f"m{name}"))


def _mix(target: str, share: str) -> list[str]:
    """Return the equations that mix the current token, weighted by ``share``, with the previous token."""
    return [f"{target}[b q d] = mul(x, {share})", f"{target}[b q d] = add({target}, shifted)"]
