"""Attention between bytes and the patches that they stand in [pagnoni2024, Section 3.2]."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record


@record
class PatchAttention(Layer):
    """``y = 2 z + softmax(norm(z) wq (norm(u) wk)ᵀ / sqrt(d_head)) norm(u) wv · wo``, within each patch.

    The first token is a patch of its own; from then on each ``patch`` tokens are one. Its vectors are made when its
    last token is there, and are looked at by that token and those behind it, up to the last one of the next patch.
    A patch has ``n_vectors`` vectors. Where patches ask, ``z`` are theirs, a projection of the maximum over the patch's
    tokens, and ``u`` the tokens; where tokens ask, ``z`` are the tokens and ``u`` what was made of the vectors.

    Attributes:
        d_model: width of tokens and vectors.
        n_heads: query heads.
        n_kv_heads: key/value heads (default: n_heads).
        d_head: width of a head (default: d_model / n_heads).
        n_vectors: vectors of a patch.
        patch: tokens of a patch.
        extra_patches: as torch executes it, every token is a patch, and so many more stand behind them.
        asks: whose vectors are queries: ``patches`` or ``tokens``.
        dropped: it is computed, but a later layer's result takes its place, so that no gradient flows.
        norm_eps: epsilon of both norms.
    """

    d_model: int
    n_heads: int
    n_kv_heads: int | None = None
    d_head: int | None = None
    n_vectors: int = 1
    patch: int = 1
    extra_patches: int = 0
    asks: str = "patches"
    dropped: bool = False
    norm_eps: float = 1e-5

    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"extra_patches"})
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"asks": ("patches", "tokens")}

    def __post_init__(self) -> None:
        self.check()
        self.derive(n_kv_heads=self.n_heads)
        self.must_divide("n_kv_heads", "n_heads")
        if self.d_head is None:
            self.must_divide("n_heads", "d_model")
        self.derive(d_head=self.d_model // self.n_heads)

    def declare(self) -> Declaration:
        """Queries and keys behind norms of their own, scores and mix within a patch, output, both residual sums."""
        pooled = self.asks == "patches"
        declaration = Declaration(self._axes(), as_torch=self._as_torch())
        if pooled:
            declaration.weights("wp[d | pc out]", share=".patch_projection")
        declaration.weights("q_norm[d]", "k_norm[d]", "wq[d | h e]", "wk[d | g e]", "wv[d | g e]", "wo[h e | d]")
        asking = (
            ["most[b kn d] = pooled(x[b kn d])", "m[b pn d] = copy(most)", "z[b pn pc out] = m[b pn d] wp[d pc out]"]
            if pooled
            else []
        )
        lines = [
            *asking,
            f"a[b q d] = rmsnorm({'z' if pooled else 'x'}, q_norm)",
            f"n[b kn d] = rmsnorm({'x' if pooled else 'src'}[b kn d], k_norm)",
            *_LINES,
            f"twice[b q d] = scale({'z' if pooled else 'x'})",
            "y[b q d] = add(y, twice)",
        ]
        declaration.equations(*map(self._tagged, lines))
        declaration.mask = f"patch:{self.n_vectors}"
        self._keep(declaration)
        return declaration

    def _tagged(self, line: str) -> str:
        return f"{line}{' ' if '|' in line else ' | '}nograd" if self.dropped else line

    def _axes(self) -> dict[str, int | str]:
        sizes = {"d": self.d_model, "h": self.n_heads, "g": self.n_kv_heads, "e": self.d_head, "pc": self.n_vectors}
        axes: dict[str, int | str] = {axis: int(size or 0) for axis, size in sizes.items()}
        size = self.patch
        begun = f"ceil(k, {size}) - ceil(c, {size})" if size > 1 else "q"
        if self.asks == "patches":
            before = f"mod(max(c, 1) - 1, {size}) + " if size > 1 else ""
            return {**axes, "out": self.d_model, "pn": begun, "q": f"({begun}) * pc", "k": f"{before}q", "kn": "q"}
        goes_on = f" + min(1, mod(c, {size}))" if size > 1 else ""  # the last patch, if it is still looked at
        return {**axes, "kn": f"({begun}) * pc", "k": f"({begun}{goes_on}) * pc"}

    def _as_torch(self) -> dict[str, int | str]:
        patches = f"q + {self.extra_patches}"
        if self.asks == "patches":
            return {"pn": patches, "q": f"({patches}) * pc", "k": "q"}
        return {"kn": f"({patches}) * pc", "k": f"({patches}) * pc"}

    def _keep(self, declaration: Declaration) -> None:
        """What a patch that is not yet complete still needs, or the vectors of the last one, if they are looked at."""
        if self.patch == 1:
            return
        if self.asks == "tokens":
            declaration.axes["wt"] = f"min(1, mod(c + q, {self.patch})) * pc"
            declaration.state("k[b wt g e]")
            declaration.state("v[b wt g e]")
            return
        declaration.axes["t"] = f"mod(c + q - 1, {self.patch})"
        declaration.axes["wt"] = f"min(1, mod(c + q - 1, {self.patch}))"
        declaration.state("k[b t g e]")
        declaration.state("v[b t g e]")
        declaration.state("m[b wt d]", "recurrent")


_LINES = [
    "q[b q h e] = a[b q d] wq[d h e]",
    "k[b kn g e] = n[b kn d] wk[d g e]",
    "v[b kn g e] = n[b kn d] wv[d g e]",
    "s[b h q k] = q[b q h e] k[b k g e] | g:h core",
    "s[b h q k] = scale(s) | core",
    "p[b h q k] = softmax(s) | core",
    "p[b h q k] = dropout(p) | core dropout",
    "o[b q h e] = p[b h q k] v[b k g e] | g:h core",
    "statistics[b h q] = log_sum_exp(o) | flash",
    "y[b q d] = o[b q h e] wo[h e d]",
]
