"""Attention from a few query vectors to image patches, as in resamplers [alayrac2022, Section 3.1.1]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles
from ....layers._attention_parts import derive_head_width, projection

if TYPE_CHECKING:
    from ....core.shrink import Sizes


@record
class QueryAttention(Layer):
    """``y = softmax(q kᵀ / sqrt(d_head)) v · wo`` with learned queries or queries pooled from neighbouring patches.

    Attributes:
        d_model: width of the queries.
        n_heads: number of query heads.
        n_queries: number of learned queries.
        pooled: number of neighbouring patches that each query pools and attends to; None: learned queries.
        prompt: number of learned tokens before the patches.
        n_kv_heads: number of key and value heads (default: n_heads); must divide n_heads.
        d_head: width of a head (default: d_model / n_heads).
        d_source: width of the patches that queries attend to (default: d_model).
        d_out: width of the output (default: d_model).
        sees: vectors that learned queries attend to: ``tokens``, ``themselves`` or ``both``.
        bias: whether queries, keys and values have biases.
        o_bias: whether the output has a bias (default: ``bias``).
        source_norm: whether the patches have an RMSNorm.
        norm_eps: epsilon of the norm.

    Raises:
        SizeError: Incompatible fields are combined, such as ``pooled`` and ``prompt``.
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

    AXES: ClassVar[str] = """
    kq  n_tokens_seen  tokens among the attended vectors
    kp  n_seen         attended vectors: tokens, queries or both
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", replicated="g", whole="out e src")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads", kv_heads="n_kv_heads", head_widths="d_head")
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"sees": ("tokens", "themselves", "both")}
    OUTPUT_WIDTH: ClassVar[str] = "d_out"
    SHRINK: ClassVar[dict[str, str]] = {"pooled prompt": "keep", "n_kv_heads": "3 2 5 7", "d_source d_out": "width"}

    def _complete(self) -> None:
        self.derive(n_kv_heads=self.n_heads, d_source=self.d_model, d_out=self.d_model, o_bias=self.bias)
        self.must_divide("n_kv_heads", "n_heads")
        derive_head_width(self)
        if self.pooled and (self.n_queries > 1 or self.prompt):
            raise self.size_error("pooled", "cannot be combined with n_queries or prompt")
        if self.pooled and self.d_source != self.d_model:
            raise self.size_error("pooled", "cannot be combined with d_source")
        if self.source_norm and (self.pooled or self.sees == "themselves"):
            raise self.size_error("source_norm", "cannot be combined with pooled or sees: themselves")
        if self.sees != "tokens" and (self.pooled or self.d_source != self.d_model):
            raise self.size_error("pooled", "and d_source require sees: tokens")

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return test head counts such that the key/value head count divides the query head count."""
        from ....layers._small_sizes import shrink_heads  # needed only by tests

        return shrink_heads(self, sizes)

    def declare(self) -> Declaration:
        """Declare the projections, scores, weighted values, and output. Learned queries run once per sequence."""
        sizes = {"d": self.d_model, "h": self.n_heads, "g": self.n_kv_heads, "e": self.d_head}
        sizes |= {"src": self.d_source, "out": self.d_out}
        is_self_attention = self.pooled is not None or self.sees == "themselves"
        queries = f"ceil(q, {self.pooled})" if self.pooled else f"min(q, 1) * {self.n_queries}"
        tokens = f"q + min(q, 1) * {self.prompt}" if self.prompt else "q"
        keys = {"tokens": tokens, "themselves": queries, "both": f"{tokens} + {queries}"}[self.sees]
        declaration = Declaration({key: int(size or 0) for key, size in sizes.items()})
        declaration.axes |= {"qg": queries, "kq": tokens, "kp": keys}
        declaration.axes["kg"] = f"min(q, {self.pooled})" if self.pooled else keys
        width = "d" if is_self_attention else "src"
        declaration.weights(*(["source_norm[src]"] if self.source_norm else []))
        declaration.weights("wq[d | h e]", f"wk[{width} | g e]", f"wv[{width} | g e]", "wo[h e | out]")
        declaration.weights(*(["bq[h e]", "bk[g e]", "bv[g e]"] if self.bias else []))
        declaration.weights(*(["bo[out]"] if self.o_bias else []))
        declaration.equations(*self._inputs())
        source = "x" if is_self_attention else "u" if self.sees == "both" else "z" if self.source_norm else "src"
        declaration.equations(
            *projection("q", "b qg", "d", "h e", self.bias, "m" if self.pooled else "x"),
            *(line for name in "kv" for line in projection(name, "b kp", width, "g e", self.bias, source)),
            "s[b h qg kg] = q[b qg h e] k[b kg g e] | g:h",
            "s[b h qg kg] = scale(s)",
            "p[b h qg kg] = softmax(s)",
            "o[b qg h e] = p[b h qg kg] v[b kg g e] | g:h",
            "y[b qg out] = o[b qg h e] wo[h e out]",
            *(["y[b qg out] = add(y, bo)"] if self.o_bias else []),
        )
        return declaration

    def _inputs(self) -> list[str]:
        """Return the equations for the inputs of the query, key and value projections."""
        if self.pooled:
            return ["sum[b kp d] = mean(x[b kp d])", "m[b qg d] = copy(sum)"]
        if self.sees == "themselves":
            return []
        lines = ["z[b kq src] = rmsnorm(src[b kq src], source_norm)"] if self.source_norm else []
        tokens = "z" if self.source_norm else "src[b kq src]"
        return lines + ([f"u[b kp src] = copy({tokens}, x)"] if self.sees == "both" else [])
