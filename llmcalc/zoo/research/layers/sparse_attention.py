"""BigBird's attention [zaheer2020]: a block of tokens sees its neighbours, random blocks and two global ones."""

from __future__ import annotations

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record

ENDS = 4  # blocks that are computed on their own: the first two and the last two
BESIDE = 3  # the own block and its neighbours
GLOBAL = 2  # the first and the last block, which also see everything


@record
class SparseAttention(Layer):
    """Attention without a causal mask; short sequences, of ``(5 + 2 n_random) · block`` tokens at most, see all.

    Attributes:
        d_model: width of input and output.
        n_heads: heads, of width d_model / n_heads.
        block: tokens of a block.
        n_random: random blocks that a block sees.
        bias: biases on queries, keys and values.
        o_bias: a bias on the output.
    """

    d_model: int
    n_heads: int
    block: int = 64
    n_random: int = 3
    bias: bool = True
    o_bias: bool = True

    def __post_init__(self) -> None:
        self.check()
        self.must_divide("n_heads", "d_model")

    @property
    def limit(self) -> int:
        """Tokens up to which all pairs are computed."""
        return (BESIDE + GLOBAL + 2 * self.n_random) * self.block

    def declare(self) -> Declaration:
        """Projections; scores of the end blocks, of all others, or of everything; mix; output projection."""
        head, seen = self.d_model // self.n_heads, BESIDE + GLOBAL + self.n_random
        sparse = f"min(1, max(0, q - {self.limit}))"  # 1 where there are more tokens than that, 0 otherwise
        rows = f"ceil(q, {self.block}) * {self.block}"
        axes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "e": head, "w": self.block}
        axes |= {"wk": seen * self.block, "wv": (seen - 1) * self.block}
        axes |= {"wc": (seen - GLOBAL) * self.block, "wg": f"{sparse} * {GLOBAL * self.block}"}
        axes |= {"if": f"1 - {sparse}", "qz": f"q + {sparse} * ({rows} - q)"}
        axes |= {"y": f"{sparse} * (ceil(q, {self.block}) - {ENDS})", "ys": f"{sparse} * {GLOBAL}"}
        declaration = Declaration(axes)
        declaration.weights(
            "wq[d | h e]", "wk[d | h e]", "wv[d | h e]", "wo[h e | d]", *(["bo[d]"] if self.o_bias else [])
        )
        if self.bias:
            declaration.weights("bq[h e]", "bk[h e]", "bv[h e]")
        for name in "qkv":
            declaration.equations(f"{name}[b qz h e] = x[b qz d] w{name}[d h e]")
            declaration.equations(*([f"{name}[b qz h e] = add({name}, b{name})"] if self.bias else []))
        for rows_, keys in (("if q", "k"), ("ys w", "qz")):
            declaration.equations(*_attend(rows_, keys))
        declaration.equations(*_SECOND, *_BETWEEN)
        declaration.equations("y[b qz d] = o[b qz h e] wo[h e d]")
        declaration.equations(*(["y[b qz d] = add(y, bo)"] if self.o_bias else []))
        return declaration


def _attend(rows: str, keys: str, k: str = "k[b h", v: str = "v[b h") -> list[str]:
    """Queries of some blocks on all keys, or each block on its own."""
    return [
        f"s[b h {rows} {keys}] = q[b h {rows} e] {k} {keys} e]",
        f"p[b h {rows} {keys}] = softmax(s)",
        f"o[b h {rows} e] = p[b h {rows} {keys}] {v} {keys} e]",
    ]


# The second block and the last but one: what they see is copied beside each other.
_SECOND = [
    "ks[b h ys wv e] = gather(k)",
    "vs[b h ys wv e] = gather(v)",
    *_attend("ys w", "wv", "ks[b h ys", "vs[b h ys"),
]
# All others: so are their neighbours and random blocks; the first and the last block stand in one place for all.
_BETWEEN = [
    "kb[b h y wc e] = gather(k)",
    "vb[b h y wc e] = gather(v)",
    "s[b h y w wc] = q[b h y w e] kb[b h y wc e]",
    "sg[b h y w wg] = q[b h y w e] k[b h wg e]",
    "p[b h y w wk] = softmax(s, sg)",
    "o[b h y w e] = p[b h y w wc] vb[b h y wc e]",
    "og[b h y w e] = p[b h y w wg] v[b h wg e]",
    "o[b h y w e] = add(o, og)",
]
