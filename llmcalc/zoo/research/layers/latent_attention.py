"""Perceiver attention [jaegle2021]. A fixed number of queries attends to tokens or to a fixed number of keys."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles
from ....layers._attention_parts import projection


@record
class LatentAttention(Layer):
    """``y = softmax(norm(a) wq (norm(x) wk)ᵀ / sqrt(d_qk / n_heads)) norm(x) wv · wo`` for an array ``a`` of vectors.

    The array is either learned (an ``embedding`` with ``use: array``) or the stream itself. If the array is
    learned, the output replaces the stream x.

    Attributes:
        d_model: width of the array.
        d_source: width of the vectors that the array attends to.
        n_heads: number of heads; must divide d_qk and d_v.
        d_qk: total width of the queries of all heads.
        d_v: total width of the values of all heads.
        n_queries: number of vectors in the array.
        n_keys: number of vectors that the array attends to; None: the number of tokens.
        reads_itself: whether the array is the stream and attends to itself; if so, there is only one norm.
        query_residual: whether the learned array is added to the output.
        d_out: width of the output (default: d_model).
    """

    d_model: int
    d_source: int
    n_heads: int
    d_qk: int
    d_v: int
    n_queries: int
    n_keys: int | None = None
    reads_itself: bool = False
    query_residual: bool = False
    d_out: int | None = None

    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", whole="out e v src")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads")
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"array": "the learned array"}
    WIDTH_MULTIPLE: ClassVar[int] = 6  # three heads of an even width
    OUTPUT_WIDTH: ClassVar[str] = "d_out"
    SHRINK: ClassVar[dict[str, str]] = {"d_source d_out": "width", "n_keys": "n_queries", "n_heads": "parts 3"}

    def _complete(self) -> None:
        self.derive(d_out=self.d_model)
        self.must_divide("n_heads", "d_qk")
        self.must_divide("n_heads", "d_v")
        if self.query_residual and (self.reads_itself or self.d_out != self.d_model):
            raise self.size_error("query_residual", "cannot be combined with reads_itself or d_out")

    def declare(self) -> Declaration:
        """Declare the norms, the projections with biases, the scores, the weighted values, and the output."""
        axes: dict[str, int | str] = {"d": self.d_model, "src": self.d_source, "out": int(self.d_out or 0)}
        axes |= {"h": self.n_heads, "e": self.d_qk // self.n_heads, "v": self.d_v // self.n_heads}
        axes |= {"qg": self.n_queries, "kg": self.n_queries if self.reads_itself else self.n_keys or "q"}
        declaration = Declaration(axes)
        declaration.weights("norm[d]", "norm_b[d]")
        array, source = ("x", "a") if self.reads_itself else ("array", "z")
        declaration.equations(f"a[b qg d] = layernorm({array}[b qg d], norm, norm_b)")
        if not self.reads_itself:
            declaration.weights("source_norm[src]", "source_norm_b[src]")
            declaration.equations("z[b kg src] = layernorm(x[b kg src], source_norm, source_norm_b)")
        declaration.weights("wq[d | h e]", "wk[src | h e]", "wv[src | h v]", "wo[h v | out]")
        declaration.weights("bq[h e]", "bk[h e]", "bv[h v]", "bo[out]")
        declaration.equations(
            *projection("q", "b qg", "d", "h e", source="a"),
            *projection("k", "b kg", "src", "h e", source=source),
            *projection("v", "b kg", "src", "h v", source=source),
            "s[b h qg kg] = q[b qg h e] k[b kg h e]",
            "s[b h qg kg] = scale(s)",
            "p[b h qg kg] = softmax(s)",
            "o[b qg h v] = p[b h qg kg] v[b kg h v]",
            "y[b qg out] = o[b qg h v] wo[h v out]",
            "y[b qg out] = add(y, bo)",
            *(["y[b qg out] = add(y, array)"] if self.query_residual else []),
        )
        return declaration
