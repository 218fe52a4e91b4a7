"""Block-wise attention with left and right context, as in speech encoders.

Relative positions use a learned table of keys [shaw2018, Section 3.2] or projected sinusoids [dai2019, Section 3.3].
"""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles
from ....layers._attention_parts import derive_head_width, projection


@record
class ContextAttention(Layer):
    """``y = softmax(q kᵀ + q rᵀ) v · wo``, where the queries of a block attend to ``left + chunk + right`` keys.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads.
        chunk: number of queries per block; the last block is padded.
        left, right: number of additional keys before and after each block.
        behind, ahead: maximum number of keys that a query attends to before and after its position; None: no limit.
        d_head: width of a head (default: d_model / n_heads).
        positions: ``none``, ``table`` (a learned key per distance), or ``projected`` (projected sinusoids of the
            distances as keys).
        n_distances: number of distances in the table or in the projected sinusoids.
        n_ahead: number of distances to later keys. Distances start at the farthest earlier key.
        bias: whether queries, keys and values have biases.
        out_bias: whether the output has a bias.
        per_channel: whether queries are scaled by ``softplus(s) / softplus(0)`` with a learned s per channel (Gemma).
        key_scale: constant factor applied to the keys (Gemma 4).
        softcap: bound of the soft cap on the scores.
        padded: whether the padding is also projected to queries, keys and values.
        d_source: width of the source vectors that produce keys and values; None: the input is the source.
        n_source: number of source vectors per block.
        fixed: whether all blocks share learned queries, which are projected once; without a source, as in the
            first block of a Q-Former, the full layer is computed only once.
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

    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", whole="e u src")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads", head_widths="d_head", chunks="chunk")
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"left", "right", "behind", "ahead", "n_ahead"})
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"positions": ("none", "table", "projected")}
    SHRINK: ClassVar[dict[str, str]] = {"chunk": "5 3", "n_distances": "14 18", "d_source": "width"}

    def _complete(self) -> None:
        derive_head_width(self)
        if (self.n_distances is None) != (self.positions == "none"):
            raise self.size_error("n_distances", "and positions must be set together")
        if (self.d_source is None) != (self.n_source is None):
            raise self.size_error("d_source", "and n_source must be set together")
        for name in ("d_source", "fixed"):
            if getattr(self, name) and (self.left or self.right or self.positions != "none"):
                raise self.size_error(name, "cannot be combined with left, right or positions")

    def has_order(self) -> bool:
        """Return whether the layer has relative positions."""
        return self.positions != "none"

    def declare(self) -> Declaration:
        """Declare the input projections, the blockwise scores and weighted values, and the output projection."""
        sizes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "e": self.d_head or 0, "Z": self.chunk}
        keys = self.n_source or self.left + self.chunk + self.right
        declaration = Declaration({**sizes, "y": "ceil(q, Z)", "kz": keys, "qz": "ceil(q, Z) * Z"})
        declaration.padded = "qz"
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
        if self.fixed and not self.d_source:
            declaration.equations(*self._compute_once())
        else:
            declaration.equations(*self._project(), *self._attend())
        return declaration

    def _compute_once(self) -> list[str]:
        lines = []
        for name, axis in (("q", "zq"), ("k", "zk"), ("v", "zk")):
            lines += projection(name, axis, "d", "h e", self.bias)
        lines += ["q[zq h e] = mul(q, q_scale)"] if self.per_channel else []
        lines += ["k[zk h e] = scale(k)"] if self.key_scale != 1.0 else []
        lines += ["s[h zq zk] = q[zq h e] k[zk h e]", "s[h zq zk] = scale(s)"]
        lines += ["s[h zq zk] = softcap(s)"] if self.softcap else []
        lines += ["p[h zq zk] = softmax(s)", "o[zq h e] = p[h zq zk] v[zk h e]", "r[zq d] = o[zq h e] wo[h e d]"]
        lines += ["r[zq d] = add(r, bo)"] if self.out_bias else []
        return [*lines, "y[b q d] = copy(r[zq d])"]

    def _project(self) -> list[str]:
        rows = "zq" if self.fixed else "b qz" if self.padded else "b q"
        lines = projection("q", rows, "d", "h e", self.bias)
        lines += [f"q[{rows} h e] = mul(q, q_scale)"] if self.per_channel else []
        lines += [f"qb[b y Z h e] = copy(q[{rows} h e])"]
        keys, width, source = ("b y kz", "src", "src") if self.d_source else (rows, "d", "x")
        for name in "kv":
            lines += projection(name, keys, width, "h e", self.bias, source)
            lines += [f"k[{keys} h e] = scale(k)"] if name == "k" and self.key_scale != 1.0 else []
            lines += [f"{name}b[b y kz h e] = copy({name}[{keys} h e])"]
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
