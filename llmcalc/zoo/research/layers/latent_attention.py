"""Perceiver's attention [jaegle2021]: a fixed number of queries, to tokens or to a fixed number of keys."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.errors import SizeError
from ....core.layer import Layer
from ....core.record import record


@record
class LatentAttention(Layer):
    """``y = softmax(norm(a) wq (norm(x) wk)ᵀ / sqrt(d_qk / n_heads)) norm(x) wv · wo`` for an array ``a`` of vectors.

    The array is a learned one, an ``embedding`` of that use, and the result takes the place of the stream x; or it is
    the stream itself.

    Attributes:
        d_model: width of the array, and of the output.
        d_source: width of what is looked at.
        n_heads: heads; they divide d_qk and d_v.
        d_qk: width of all queries.
        d_v: width of all values.
        n_queries: vectors of the array.
        n_keys: vectors that are looked at; None: the tokens.
        reads_itself: the array is the stream, and looks at itself under one norm.
        query_residual: a learned array is added to the result.
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

    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {
        **Layer.EXTERNAL_TENSORS,
        "array": "the learned vectors that look at the stream",
    }

    def __post_init__(self) -> None:
        self.check()
        self.derive(d_out=self.d_model)
        self.must_divide("n_heads", "d_qk")
        self.must_divide("n_heads", "d_v")
        if self.query_residual and (self.reads_itself or self.d_out != self.d_model):
            raise SizeError("query_residual goes with a learned array as wide as the result", where="latent_attention")

    def declare(self) -> Declaration:
        """Norms of both sides, projections with biases, scores, mix, output."""
        axes: dict[str, int | str] = {"d": self.d_model, "src": self.d_source, "out": int(self.d_out or 0)}
        axes |= {"h": self.n_heads, "e": self.d_qk // self.n_heads, "v": self.d_v // self.n_heads}
        axes |= {"qg": self.n_queries, "kg": self.n_queries if self.reads_itself else self.n_keys or "q"}
        declaration = Declaration(axes)
        declaration.weights("norm[d]", "norm_b[d]")
        asking = "x" if self.reads_itself else "array"
        declaration.equations(f"a[b qg d] = layernorm({asking}[b qg d], norm, norm_b)")
        source = "a[b kg src]"
        if not self.reads_itself:
            source = "z[b kg src]"
            declaration.weights("source_norm[src]", "source_norm_b[src]")
            declaration.equations("z[b kg src] = layernorm(x[b kg src], source_norm, source_norm_b)")
        declaration.weights("wq[d | h e]", "wk[src | h e]", "wv[src | h v]", "wo[h v | out]")
        declaration.weights("bq[h e]", "bk[h e]", "bv[h v]", "bo[out]")
        declaration.equations(
            "q[b qg h e] = a[b qg d] wq[d h e]",
            "q[b qg h e] = add(q, bq)",
            f"k[b kg h e] = {source} wk[src h e]",
            "k[b kg h e] = add(k, bk)",
            f"v[b kg h v] = {source} wv[src h v]",
            "v[b kg h v] = add(v, bv)",
            "s[b h qg kg] = q[b qg h e] k[b kg h e]",
            "s[b h qg kg] = scale(s)",
            "p[b h qg kg] = softmax(s)",
            "o[b qg h v] = p[b h qg kg] v[b kg h v]",
            "y[b qg out] = o[b qg h v] wo[h v out]",
            "y[b qg out] = add(y, bo)",
            *(["y[b qg out] = add(y, array)"] if self.query_residual else []),
        )
        return declaration
