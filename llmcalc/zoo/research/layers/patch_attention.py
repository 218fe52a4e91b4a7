"""Cross-attention between bytes and their patches [pagnoni2024, Section 3.2]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles, Stored
from ....layers._attention_parts import derive_head_width

if TYPE_CHECKING:
    from ....core.shrink import Sizes


@record
class PatchAttention(Layer):
    """``y = 2 z + softmax(norm(z) wq (norm(u) wk)ᵀ / sqrt(d_head)) norm(u) wv · wo``, within each patch.

    The first token is a separate patch, and each later patch has ``patch`` tokens. A patch has ``n_vectors``
    vectors, computed from its tokens once the patch is complete. Tokens attend to the vectors of the last complete
    patch. If the queries are patches, ``z`` holds the patch vectors, projected from the maximum over the patch's
    tokens, and ``u`` holds the tokens. Otherwise, ``z`` holds the tokens and ``u`` holds the patch vectors.

    Attributes:
        d_model: width of tokens and vectors.
        n_heads: number of query heads.
        n_kv_heads: number of key and value heads (default: n_heads); must divide n_heads.
        d_head: width of a head (default: d_model / n_heads).
        n_vectors: number of vectors per patch.
        patch: number of tokens per patch.
        extra_patches: number of additional patches in PyTorch, where every token is a patch.
        asks: type of the queries, ``patches`` or ``tokens``.
        dropped: whether a later layer replaces the output. If so, the output gets no gradient.
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

    AXES: ClassVar[str] = """
    wt  n_pending_vectors    cached vectors of an incomplete patch
    pn  n_completed_patches  patches completed by the new tokens
    pc  n_vectors            vectors per patch
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", replicated="g", whole="out e pc")
    STORED: ClassVar[Stored] = Stored(values="v")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads", kv_heads="n_kv_heads", head_widths="d_head")
    IN_ANY_BLOCK: ClassVar[bool] = False
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"extra_patches"})
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"asks": ("patches", "tokens")}
    SHRINK: ClassVar[dict[str, str]] = {"n_kv_heads": "3 2 5 7", "n_vectors patch extra_patches": "keep"}

    def _complete(self) -> None:
        self.derive(n_kv_heads=self.n_heads)
        self.must_divide("n_kv_heads", "n_heads")
        derive_head_width(self)

    def reserve_sizes(self, sizes: Sizes, stream: int) -> None:
        """Set the test width of a patch's concatenated vectors to ``n_vectors`` times the test width of a vector."""
        sizes.concatenate(*[self.d_model] * self.n_vectors)

    def shrink_related(self, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
        """Return test head counts such that the key/value head count divides the query head count."""
        from ....layers._small_sizes import shrink_heads  # needed only by tests

        return shrink_heads(self, sizes)

    def declare(self) -> Declaration:
        """Declare the normalised queries and keys, patch scores, weighted values, output, and residual additions."""
        declaration = Declaration(self._axes(), as_torch=self._as_torch())
        queries, keys, lines = "x", "src", list[str]()
        if self.asks == "patches":
            queries, keys = "z", "x"
            declaration.weights("wp[d | pc out]", share=".patch_projection")
            lines += ["most[b kn d] = pooled(x[b kn d])", "m[b pn d] = copy(most)"]
            lines += ["z[b pn pc out] = m[b pn d] wp[d pc out]"]
        declaration.weights("q_norm[d]", "k_norm[d]", "wq[d | h e]", "wk[d | g e]", "wv[d | g e]", "wo[h e | d]")
        lines += [f"a[b q d] = rmsnorm({queries}, q_norm)", f"n[b kn d] = rmsnorm({keys}[b kn d], k_norm)", *_ATTEND]
        lines += [f"twice[b q d] = scale({queries})", "y[b q d] = add(y, twice)"]
        declaration.equations(*lines, tag="nograd" if self.dropped else "")
        declaration.mask = f"patch:{self.n_vectors}"
        self._add_states(declaration)
        return declaration

    def _axes(self) -> dict[str, int | str]:
        sizes = {"d": self.d_model, "h": self.n_heads, "g": self.n_kv_heads, "e": self.d_head, "pc": self.n_vectors}
        axes: dict[str, int | str] = {axis: int(size or 0) for axis, size in sizes.items()}
        size = self.patch
        new = f"ceil(k, {size}) - ceil(c, {size})" if size > 1 else "q"
        if self.asks == "patches":
            before = f"mod(max(c, 1) - 1, {size}) + " if size > 1 else ""
            return {**axes, "out": self.d_model, "pn": new, "q": f"({new}) * pc", "k": f"{before}q", "kn": "q"}
        last = f" + min(1, mod(c, {size}))" if size > 1 else ""  # the last patch, if tokens still attend to it
        return {**axes, "kn": f"({new}) * pc", "k": f"({new}{last}) * pc"}

    def _as_torch(self) -> dict[str, int | str]:
        patches = f"q + {self.extra_patches}"
        if self.asks == "patches":
            return {"pn": patches, "q": f"({patches}) * pc", "k": "q"}
        return {"kn": f"({patches}) * pc", "k": f"({patches}) * pc"}

    def _add_states(self, declaration: Declaration) -> None:
        """Add the cached keys and values of an incomplete patch, or of the last patch while tokens attend to it."""
        if self.patch == 1:
            return
        rows = "t" if self.asks == "patches" else "wt"
        if self.asks == "patches":
            declaration.axes |= {"t": f"mod(c + q - 1, {self.patch})", "wt": f"min(1, mod(c + q - 1, {self.patch}))"}
        else:
            declaration.axes["wt"] = f"min(1, mod(c + q, {self.patch})) * pc"
        declaration.state(f"k[b {rows} g e]")
        declaration.state(f"v[b {rows} g e]")
        if self.asks == "patches":
            declaration.state("m[b wt d]", "recurrent")


_ATTEND = [
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
