"""Attention of a few vectors to the patches of an image, as in resamplers [alayrac2022, Section 3.1.1]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.errors import SizeError
from ....core.layer import Layer
from ....core.record import record


@record
class QueryAttention(Layer):
    """``y = softmax(q kᵀ / sqrt(d_head)) v · wo``, the queries of which are learned, or made of neighbours.

    Attributes:
        d_model: width of the queries.
        n_heads: query heads.
        n_queries: learned vectors that ask.
        pooled: instead, each group of so many neighbours asks once, and sees itself.
        prompt: this many learned tokens stand before those that are looked at.
        n_kv_heads: key/value heads (default: n_heads); they divide n_heads.
        d_head: width of a head (default: d_model / n_heads).
        d_source: width of what is looked at (default: d_model).
        d_out: width of the output (default: d_model).
        sees: what learned queries look at: ``tokens``, ``themselves``, or ``both``.
        bias: biases of queries, keys and values.
        o_bias: bias of the output (default: as ``bias``).
        source_norm: an RMSNorm on the tokens that are looked at.
        norm_eps: its epsilon.

    Raises:
        SizeError: learned queries and groups at once; queries that see each other in another width.
    """

    d_model: int
    n_heads: int
    n_queries: int = 1
    pooled: int | None = None
    prompt: int | None = None
    n_kv_heads: int | None = None
    d_head: int | None = None
    d_source: int | None = None
    d_out: int | None = None
    sees: str = "tokens"
    bias: bool = False
    o_bias: bool | None = None
    source_norm: bool = False
    norm_eps: float = 1e-6

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"sees": ("tokens", "themselves", "both")}

    def __post_init__(self) -> None:
        self.check()
        self.derive(n_kv_heads=self.n_heads, d_source=self.d_model, d_out=self.d_model, o_bias=self.bias)
        self.must_divide("n_kv_heads", "n_heads")
        if self.d_head is None:
            self.must_divide("n_heads", "d_model")
        self.derive(d_head=self.d_model // self.n_heads)
        if self.pooled and (self.n_queries > 1 or self.prompt):
            raise SizeError("pooled leaves no n_queries and no prompt", where="query_attention")
        if self.pooled and self.d_source != self.d_model:
            raise SizeError("pooled leaves no d_source: a group sees itself", where="query_attention")
        if self.source_norm and (self.pooled or self.sees == "themselves"):
            raise SizeError("source_norm is one of tokens, of which there are none", where="query_attention")
        if self.sees != "tokens" and (self.pooled or self.d_source != self.d_model):
            raise SizeError("only learned queries see each other, in their own width", where="query_attention")

    def declare(self) -> Declaration:
        """Projections, scores, mix, output; learned queries ask once, if there is anything to be seen."""
        sizes = {"d": self.d_model, "h": self.n_heads, "g": self.n_kv_heads, "e": self.d_head}
        sizes |= {"src": self.d_source, "out": self.d_out}
        own = self.pooled is not None or self.sees == "themselves"  # keys are made of the layer's own input
        asking = f"ceil(q, {self.pooled})" if self.pooled else f"min(q, 1) * {self.n_queries}"
        tokens = f"q + min(q, 1) * {self.prompt}" if self.prompt else "q"
        made = {"tokens": tokens, "themselves": asking, "both": f"{tokens} + {asking}"}[self.sees]
        declaration = Declaration({key: int(size or 0) for key, size in sizes.items()})
        declaration.axes |= {"qg": asking, "kq": tokens, "kp": made}
        declaration.axes["kg"] = f"min(q, {self.pooled})" if self.pooled else made
        width = "d" if own else "src"
        declaration.weights(*(["source_norm[src]"] if self.source_norm else []))
        declaration.weights("wq[d | h e]", f"wk[{width} | g e]", f"wv[{width} | g e]", "wo[h e | out]")
        declaration.weights(*(["bq[h e]", "bk[g e]", "bv[g e]"] if self.bias else []))
        declaration.weights(*(["bo[out]"] if self.o_bias else []))
        declaration.equations(*self._of_what())
        asks = "m" if self.pooled else "x"
        source = "x" if own else "u" if self.sees == "both" else "z" if self.source_norm else "src"
        declaration.equations(
            f"q[b qg h e] = {asks}[b qg d] wq[d h e]", *(["q[b qg h e] = add(q, bq)"] if self.bias else [])
        )
        for name in "kv":
            declaration.equations(f"{name}[b kp g e] = {source}[b kp {width}] w{name}[{width} g e]")
            declaration.equations(*([f"{name}[b kp g e] = add({name}, b{name})"] if self.bias else []))
        declaration.equations(
            "s[b h qg kg] = q[b qg h e] k[b kg g e] | g:h",
            "s[b h qg kg] = scale(s)",
            "p[b h qg kg] = softmax(s)",
            "o[b qg h e] = p[b h qg kg] v[b kg g e] | g:h",
            "y[b qg out] = o[b qg h e] wo[h e out]",
            *(["y[b qg out] = add(y, bo)"] if self.o_bias else []),
        )
        return declaration

    def _of_what(self) -> list[str]:
        """What asks, and what is looked at."""
        if self.pooled:
            return ["sum[b kp d] = mean(x[b kp d])", "m[b qg d] = copy(sum)"]
        if self.sees == "themselves":
            return []
        normed = ["z[b kq src] = rmsnorm(src[b kq src], source_norm)"] if self.source_norm else []
        return (
            [*normed, f"u[b kp src] = copy({'z' if normed else 'src[b kq src]'}, x)"] if self.sees == "both" else normed
        )
