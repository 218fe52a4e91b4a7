"""Funnel attention [dai2020] with Transformer-XL relative positions. Pooled queries halve the sequence length."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles
from ....layers._attention_parts import projection


@record
class FunnelAttention(Layer):
    """``softmax(((q + u) kᵀ + positions(q + w) + segments(q + z)) / sqrt(d_head)) v · wo``, without a causal mask.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads.
        d_head: width of a head.
        merge: number of tokens merged into each query position.
        pools: whether the queries are pooled to half as many positions as the input.
        pooled_keys: whether keys and values are pooled like the queries.
        extra: whether pooling adds a position for the first token (``separate_cls`` without ``truncate_seq``).
        first_apart: whether the first token is never pooled and has no relative position (``separate_cls``).
        pooling: pooling function for pairs of positions, ``mean`` or ``max``.
        restores: number of tokens to which each position is expanded before the layer; None: no expansion. The
            stream from before pooling is added to the expanded stream.
        factorized: whether position scores are computed from sines and cosines instead of projected distances.
    """

    d_model: int
    n_heads: int
    d_head: int
    merge: int = 1
    pools: bool = False
    pooled_keys: bool = False
    extra: bool = False
    factorized: bool = False
    first_apart: bool = False
    pooling: str = "mean"
    restores: int | None = None

    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", whole="S e")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads", head_widths="d_head")
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"pooling": ("mean", "max")}
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {
        "sinusoids": "sines and cosines of every distance",
        "unpooled": "the input before pooling",
        "sines": "sines and cosines of positions",
    }
    WIDTH_MULTIPLE: ClassVar[int] = 6  # sines and cosines, and the heads of other kinds
    SHRINK: ClassVar[dict[str, str]] = {"merge restores": "keep"}

    def _complete(self) -> None:
        if self.d_model % 2:
            raise self.size_error("d_model", f"must be even, not {self.d_model}")

    def declare(self) -> Declaration:
        """Declare the projections, content, position and segment scores, weighted values, and output projection."""
        axes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "e": self.d_head}
        axes |= {"S": 2, "qg": n_merged(self.merge, self.extra)}  # S: same segment or different segments
        pools_queries = self.pools and not self.pooled_keys
        axes["kg"] = n_merged(self.merge // 2, self.extra) if pools_queries else axes["qg"]
        axes["rp"] = f"2 * {axes['qg']} + {axes['kg']}" if pools_queries else f"2 * {axes['qg']}"
        declaration = Declaration(axes)
        declaration.weights("wq[d | h e]", "wk[d | h e]", "wv[d | h e]", "wo[h e | d]", "bk[h e]", "bv[h e]", "bo[d]")
        declaration.weights("u[h; e]", "w[h; e]", "z[h; e]", "wr[d; h; e]", "segment[S; h; e]")
        declaration.equations("q[b qg h e] = x[b qg d] wq[d h e]")
        for name in "kv":
            source = "unpooled" if pools_queries else "x"
            declaration.equations(*projection(name, "b kg", "d", "h e", source=source))
        declaration.equations(*_SCORE, *(_FACTORIZED if self.factorized else _SHIFTED), *_ATTEND)
        return declaration


def n_merged(merge: int, extra: bool) -> str:
    """Return an expression for the number of positions if each position merges ``merge`` tokens."""
    if merge == 1:
        return "q"
    return f"ceil(q + {merge - 1}, {merge})" if extra else f"ceil(q, {merge})"


_SCORE = [
    "qu[b qg h e] = add(q, u)",
    "s[b h qg kg] = qu[b qg h e] k[b kg h e]",
    "qw[b qg h e] = add(q, w)",
]
_SHIFTED = [
    "r[rp h e] = sinusoids[rp d] wr[d h e] | constant",
    "sr[b h qg rp] = qw[b qg h e] r[rp h e]",
]
_FACTORIZED = [
    "r[b qg h d] = qw[b qg h e] wr[d h e]",
    "r1[b qg h d] = scale(r)",  # by sines and cosines of the query
    "r2[b qg h d] = scale(r)",
    "sr[b h qg kg] = r1[b qg h d] sines[kg d] | constant",
    "sn[b h qg kg] = r2[b qg h d] sines[kg d] | constant",
    "sr[b h qg kg] = add(sr, sn)",
]
_ATTEND = [
    "s[b h qg kg] = add(s, sr)",
    "qz[b qg h e] = add(q, z)",
    "ss[b h qg S] = qz[b qg h e] segment[S h e]",
    "s[b h qg kg] = add(s, ss)",
    "p[b h qg kg] = softmax(s)",
    "o[b qg h e] = p[b h qg kg] v[b kg h e]",
    "y[b qg d] = o[b qg h e] wo[h e d]",
    "y[b qg d] = add(y, bo)",
]
