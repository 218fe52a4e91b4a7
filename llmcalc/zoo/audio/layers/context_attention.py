"""Attention of blocks of queries to their own block and what is around it, as speech encoders have it.

Distances are known by a learned table of keys [shaw2018, Section 3.2] or by projected sinusoids [dai2019, Section 3.3].
"""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.errors import SizeError
from ....core.layer import Layer
from ....core.record import record


@record
class ContextAttention(Layer):
    """``y = softmax(q kᵀ + q rᵀ) v · wo``, where the queries of a block see ``left + chunk + right`` keys.

    Attributes:
        d_model: width of input and output.
        n_heads: heads.
        chunk: queries of a block; the last block is padded.
        left, right: keys before and behind the block that its queries see too.
        behind, ahead: of all these a query sees as many before and behind itself alone; None: all.
        d_head: width of a head (default: d_model / n_heads).
        positions: ``none``, ``table`` (a learned key for each distance), or ``projected`` (sinusoids of distances are
            projected to keys).
        n_distances: rows of the table, or distances whose sinusoids are projected.
        n_ahead: how many of the latter are those of later keys; the farthest earlier one comes first.
        bias: biases of queries, keys and values.
        out_bias: a bias of the output projection.
        per_channel: a learned scale on each channel of a query head: its softplus, which is 1 for a scale of 0 (Gemma).
        key_scale: a constant factor on keys (Gemma 4).
        softcap: scores are squashed to this bound.
        padded: queries, keys and values of the padding are projected too.
        d_source: keys and values are made of ``n_source`` vectors of this width for each block; None: of the input.
        n_source: how many.
        fixed: queries are made of the same learned vectors in every block, and so are projected once; without a source
            all of it is computed once (the first block of a Q-Former).
    """

    d_model: int
    n_heads: int
    chunk: int
    left: int = 0
    right: int = 0
    behind: int | None = None
    ahead: int | None = None
    d_head: int | None = None
    positions: str = "none"
    n_distances: int | None = None
    n_ahead: int = 0
    bias: bool = False
    out_bias: bool = False
    per_channel: bool = False
    key_scale: float = 1.0
    softcap: float | None = None
    padded: bool = False
    d_source: int | None = None
    n_source: int | None = None
    fixed: bool = False

    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"left", "right", "behind", "ahead", "n_ahead"})
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"positions": ("none", "table", "projected")}

    def __post_init__(self) -> None:
        self.check()
        if self.d_head is None:
            self.must_divide("n_heads", "d_model")
        self.derive(d_head=self.d_model // self.n_heads)
        if (self.n_distances is None) != (self.positions == "none"):
            raise SizeError("n_distances goes with positions, and with nothing else", where="context_attention")
        if (self.d_source is None) != (self.n_source is None):
            raise SizeError("d_source and n_source go together", where="context_attention")
        if self.d_source and (self.left or self.right or self.positions != "none"):
            raise SizeError("d_source leaves no left, right and positions", where="context_attention")
        if self.fixed and (self.left or self.right or self.positions != "none"):
            raise SizeError("fixed leaves no left, right and positions", where="context_attention")

    def declare(self) -> Declaration:
        """Projections of queries, keys and values; scores and mix of each block; output projection."""
        sizes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "e": self.d_head or 0, "Z": self.chunk}
        seen = self.n_source or self.left + self.chunk + self.right
        declaration = Declaration({**sizes, "y": "ceil(q, Z)", "kz": seen, "qz": "ceil(q, Z) * Z"})
        source = "d"
        if self.d_source:
            declaration.axes["src"], source = self.d_source, "src"
        declaration.weights("wq[d | h e]", f"wk[{source} | h e]", f"wv[{source} | h e]", "wo[h e | d]")
        declaration.weights(*(["bq[h e]", "bk[h e]", "bv[h e]"] if self.bias else []))
        declaration.weights(*(["bo[d]"] if self.out_bias else []), *(["q_scale[e]"] if self.per_channel else []))
        if self.n_distances:
            declaration.axes |= {"u": self.n_distances, "rp": f"min(q, 1) * {self.n_distances}"}
            declaration.weights("relative[u; e]" if self.positions == "table" else "wr[d | h e]")
        if self.fixed:
            declaration.axes |= {"zq": "min(q, 1) * Z", "zk": "min(q, 1) * Z"}
        alone = self.fixed and not self.d_source
        declaration.equations(*(self._once() if alone else (*self._project(), *self._attend())))
        return declaration

    def _once(self) -> list[str]:
        lines = []
        for name, axis in (("q", "zq"), ("k", "zk"), ("v", "zk")):
            lines += [f"{name}[{axis} h e] = x[{axis} d] w{name}[d h e]"]
            lines += [f"{name}[{axis} h e] = add({name}, b{name})"] if self.bias else []
        lines += ["q[zq h e] = mul(q, q_scale)"] if self.per_channel else []
        lines += ["k[zk h e] = scale(k)"] if self.key_scale != 1.0 else []
        lines += ["s[h zq zk] = q[zq h e] k[zk h e]", "s[h zq zk] = scale(s)"]
        lines += ["s[h zq zk] = softcap(s)"] if self.softcap else []
        lines += ["p[h zq zk] = softmax(s)", "o[zq h e] = p[h zq zk] v[zk h e]", "r[zq d] = o[zq h e] wo[h e d]"]
        lines += ["r[zq d] = add(r, bo)"] if self.out_bias else []
        return [*lines, "y[b q d] = copy(r[zq d])"]

    def _project(self) -> list[str]:
        rows = "zq" if self.fixed else "b qz" if self.padded else "b q"
        lines = [f"q[{rows} h e] = x[{rows} d] wq[d h e]", *([f"q[{rows} h e] = add(q, bq)"] if self.bias else [])]
        lines += [f"q[{rows} h e] = mul(q, q_scale)"] if self.per_channel else []
        lines += [f"qb[b y Z h e] = copy(q[{rows} h e])"]
        made = "src[b y kz src]" if self.d_source else f"x[{rows} d]"
        own, width = ("b y kz", "src") if self.d_source else (rows, "d")
        for name in "kv":
            lines += [f"{name}[{own} h e] = {made} w{name}[{width} h e]"]
            lines += [f"{name}[{own} h e] = add({name}, b{name})"] if self.bias else []
            lines += [f"k[{own} h e] = scale(k)"] if name == "k" and self.key_scale != 1.0 else []
            lines += [f"{name}b[b y kz h e] = copy({name}[{own} h e])"]
        return lines

    def _attend(self) -> list[str]:
        lines = ["s[b y Z h kz] = qb[b y Z h e] kb[b y kz h e]", "s[b y Z h kz] = scale(s)"]
        if self.positions == "table":
            lines += [
                "r[Z kz e] = gather(relative, ids)",
                "sr[b y Z h kz] = qb[b y Z h e] r[Z kz e]",
                "s[b y Z h kz] = add(s, sr)",
            ]
        elif self.positions == "projected":
            lines += ["r[rp h e] = sinusoids[rp d] wr[d h e] | constant", "sr[b y Z h rp] = qb[b y Z h e] r[rp h e]"]
            lines += ["s[b y Z h kz] = add(s, sr)"]
        lines += ["s[b y Z h kz] = softcap(s)"] if self.softcap else []
        lines += ["p[b y Z h kz] = softmax(s)", "o[b y Z h e] = p[b y Z h kz] vb[b y kz h e]"]
        lines += ["c[b q h e] = copy(o[b y Z h e])", "y[b q d] = c[b q h e] wo[h e d]"]
        return lines + (["y[b q d] = add(y, bo)"] if self.out_bias else [])
