"""BigBird attention [zaheer2020] from each block to adjacent blocks, random blocks and two global blocks."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.record import record
from ....layers._attention_parts import MultiHead, projection

ENDS = 4  # number of blocks that are computed separately: the first two and the last two
NEAR = 3  # number of neighbouring blocks, including the block itself
GLOBAL = 2  # the first and the last block, which also attend to everything


@record
class SparseAttention(MultiHead):
    """Non-causal block-sparse attention. Sequences of up to ``(5 + 2 n_random) · block`` tokens use full attention.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads, each of width d_model / n_heads.
        block: number of tokens per block.
        n_random: number of random blocks that each block attends to.
        bias: whether queries, keys and values have biases.
        o_bias: whether the output has a bias.
    """

    block: int = 64
    n_random: int = 3
    bias: bool = True
    o_bias: bool = True

    AXES: ClassVar[str] = """
    wc  n_band_keys  keys in the neighbouring and random blocks of a query block
    wg  n_end_keys   keys in the first and last blocks
    """
    SHRINK: ClassVar[dict[str, str]] = {"block": "always blocks 2", "n_random": "always random 1"}

    @property
    def limit(self) -> int:
        """Maximum sequence length for full attention, in tokens."""
        return (NEAR + GLOBAL + 2 * self.n_random) * self.block

    def declare(self) -> Declaration:
        """Declare the projections, blockwise or full scores, weighted values, and output projection."""
        seen = NEAR + GLOBAL + self.n_random
        sparse = f"min(1, max(0, q - {self.limit}))"  # 1 with more tokens than the limit, else 0
        rows = f"ceil(q, {self.block}) * {self.block}"
        axes = self._head_axes() | {"w": self.block, "wk": seen * self.block, "wv": (seen - 1) * self.block}
        axes |= {"wc": (seen - GLOBAL) * self.block, "wg": f"{sparse} * {GLOBAL * self.block}"}
        axes |= {"if": f"1 - {sparse}", "qz": f"q + {sparse} * ({rows} - q)"}
        axes |= {"y": f"{sparse} * (ceil(q, {self.block}) - {ENDS})", "ys": f"{sparse} * {GLOBAL}"}
        declaration = Declaration(axes)
        declaration.padded = "qz"
        declaration.weights("wq[d | h e]", "wk[d | h e]", "wv[d | h e]", "wo[h e | d]")
        declaration.weights(*(["bo[d]"] if self.o_bias else []))
        declaration.weights(*(["bq[h e]", "bk[h e]", "bv[h e]"] if self.bias else []))
        for name in "qkv":
            declaration.equations(*projection(name, "b qz", "d", "h e", self.bias))
        declaration.equations(*_attend("if q", "k"), *_attend("ys w", "qz"), *_SECOND, *_INNER)
        declaration.equations("y[b qz d] = o[b qz h e] wo[h e d]")
        declaration.equations(*(["y[b qz d] = add(y, bo)"] if self.o_bias else []))
        return declaration


def _attend(rows: str, keys: str, k: str = "k[b h", v: str = "v[b h") -> list[str]:
    """Return the attention equations for the query axes ``rows`` and the key axes ``keys``."""
    return [
        f"s[b h {rows} {keys}] = q[b h {rows} e] {k} {keys} e]",
        f"p[b h {rows} {keys}] = softmax(s)",
        f"o[b h {rows} e] = p[b h {rows} {keys}] {v} {keys} e]",
    ]


# Second and second-to-last block: the blocks they attend to are copied and concatenated.
_SECOND = [
    "ks[b h ys wv e] = gather(k)",
    "vs[b h ys wv e] = gather(v)",
    *_attend("ys w", "wv", "ks[b h ys", "vs[b h ys"),
]
# Other blocks: adjacent and random blocks are copied; all blocks share the first and the last block.
_INNER = [
    "kb[b h y wc e] = gather(k)",
    "vb[b h y wc e] = gather(v)",
    "s[b h y w wc] = q[b h y w e] kb[b h y wc e]",
    "sg[b h y w wg] = q[b h y w e] k[b h wg e]",
    "p[b h y w wk] = softmax(s, sg)",
    "o[b h y w e] = p[b h y w wc] vb[b h y wc e]",
    "og[b h y w e] = p[b h y w wg] v[b h wg e]",
    "o[b h y w e] = add(o, og)",
]
