"""Reformer attention [kitaev2020] within chunks of tokens, in sequence order or sorted by hash."""

from __future__ import annotations

from typing import ClassVar

from ....core.declaration import Declaration
from ....core.errors import short_repr
from ....core.layer import Layer
from ....core.record import record
from ....core.traits import Parallel, Roles


@record
class ChunkedAttention(Layer):
    """``y = softmax(q kᵀ / sqrt(d_head)) v · wo`` within a chunk and adjacent chunks, without biases.

    Sequences that fit in one chunk are not split. The cache stores layer inputs instead of keys and values.

    Attributes:
        d_model: width of input and output.
        n_heads: number of heads.
        d_head: width of a head.
        chunk: number of tokens per chunk.
        before, after: number of preceding and following chunks that a query also attends to.
        hashed: whether to use LSH attention, in which queries also serve as keys and tokens are sorted by hash.
        n_hashes: number of hashing rounds.
        n_rotations: number of random directions (half the bucket count); None: number of chunks in the first pass.
        padded_to: sequences longer than ``padded_above`` are padded to a multiple of this number of tokens.
        padded_above: length in tokens above which sequences are padded (the smallest chunk length in the model).
        causal: whether later tokens are masked.
        factors: factors of the number of buckets, separated by spaces, such as ``8 16``. The number of random
            directions per factor is half the factor.

    Raises:
        SizeError: The factors are not even numbers that sum to twice ``n_rotations``.
    """

    d_model: int
    n_heads: int
    d_head: int
    chunk: int
    before: int = 1
    after: int = 0
    hashed: bool = False
    n_hashes: int = 1
    n_rotations: int | None = None
    padded_to: int = 1
    padded_above: int = 1
    causal: bool = False
    factors: str = ""

    AXES: ClassVar[str] = """
    hq  n_hashed  tokens hashed in a decode step
    """
    PARALLEL: ClassVar[Parallel] = Parallel(tensor="h", whole="e")
    ROLES: ClassVar[Roles] = Roles(heads="n_heads", head_widths="d_head", chunks="chunk")

    ZERO_ALLOWED = frozenset({"before", "after"})
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {"planes": "random hash directions, which determine the bucket"}
    SHRINK: ClassVar[dict[str, str]] = {
        "chunk": "5 3",
        "before after n_rotations": "keep",
        "padded_to": "15",
        "padded_above": "3",
    }

    def _complete(self) -> None:
        words = self.factors.split()
        sizes = [int(word) for word in words if word.isdecimal()]
        even = len(sizes) == len(words) and all(size and size % 2 == 0 for size in sizes)
        if words and not (even and sum(sizes) == 2 * (self.n_rotations or 0)):
            problem = f"is {short_repr(self.factors)}; it must contain even numbers that sum to twice n_rotations"
            raise self.size_error("factors", problem)

    def declare(self) -> Declaration:
        """Declare the projections, hashes, chunked or full scores, weighted values, and output projection."""
        axes: dict[str, int | str] = {"d": self.d_model, "h": self.n_heads, "e": self.d_head, "t": "c + q"}
        rows, chunk = padded(self.padded_to, self.padded_above), self.chunk
        many = f"min(1, max(0, {rows} - {chunk}))"  # 1 with more than one chunk, else 0
        seen, hashes = (self.before + 1 + self.after) * chunk, self.n_hashes if self.hashed else 1
        axes |= {"qz": rows, "kz": rows, "if": f"1 - {many}", "y": f"{many} * {hashes} * ceil({rows}, {chunk})"}
        axes |= {"w": chunk, "wk": seen, "kn": self._n_decode_keys(seen, hashes)}
        axes |= {"nh": self.n_hashes, "hb": self.n_rotations or f"ceil(q - {chunk - 1}, {chunk})", "zs": many}
        done = f"min(1, max(0, c - {chunk}))"  # 1 if the cached tokens have buckets; the first chunk gets them later
        axes["hd"] = self.n_rotations or f"max(1, ceil(c - {chunk - 1}, {chunk}))"
        axes["hq"] = f"{done} * q + (1 - {done}) * min(1, max(0, c + q - {chunk - 1})) * (c + q)"
        declaration = Declaration(axes)
        declaration.weights("wq[d | h e]", *([] if self.hashed else ["wk[d | h e]"]), "wv[d | h e]", "wo[h e | d]")
        for rows_, phase in (("qz", "prefill"), ("kn", "decode")):
            declaration.equations(f"v[b {rows_} h e] = x[b {rows_} d] wv[d h e] | {phase}")
            if not self.hashed:
                declaration.equations(f"k[b {rows_} h e] = x[b {rows_} d] wk[d h e] | {phase}")
        declaration.padded = "qz"
        declaration.equations("q[b qz h e] = x[b qz d] wq[d h e] | prefill", "q[b q h e] = x[b q d] wq[d h e] | decode")
        if self.hashed:
            declaration.equations(*_HASHED)
        for lead, query, keys in (("if", "qz", "kz"), ("y", "w", "wk")):
            for name, rows_ in (("q", query), ("k", keys), ("v", keys)):
                function = "gather" if self.hashed and lead == "y" else "copy"
                declaration.equations(f"{name}{lead}[b h {lead} {rows_} e] = {function}({name}[b qz h e]) | prefill")
            declaration.equations(*_attend(lead, query, keys, "prefill"))
        if self.hashed and self.n_hashes > 1:
            declaration.equations(*_ROUNDS)
        declaration.equations(*_attend("", "q", "kn", "decode"))
        declaration.equations("y[b qz d] = o[b qz h e] wo[h e d]")
        declaration.state("states[b t d]")
        return declaration

    def _n_decode_keys(self, seen: int, hashes: int) -> str:
        """Return an expression for the number of keys that a decode step recomputes."""
        if not self.hashed:
            return f"min(c, mod(c, {self.chunk}) + {self.before * self.chunk}) + q"
        is_sorted = f"min(1, max(0, c - {self.chunk}))"
        return f"{is_sorted} * {hashes * seen} + (1 - {is_sorted}) * (c + q)"


def padded(to: int, above: int) -> str:
    """Return an expression for the token count. Counts above ``above`` are rounded up to a multiple of ``to``."""
    return f"(q + min(1, max(0, q - {above})) * (ceil(q, {to}) * {to} - q))" if to > 1 else "q"


def _attend(lead: str, query: str, keys: str, phase: str) -> list[str]:
    return [
        f"s[b h {lead} {query} {keys}] = q{lead}[b h {lead} {query} e] k{lead}[b h {lead} {keys} e] | {phase}",
        f"p[b h {lead} {query} {keys}] = softmax(s) | {phase}",
        f"o[b h {lead} {query} e] = p[b h {lead} {query} {keys}] v{lead}[b h {lead} {keys} e] | {phase}",
    ]


_HASHED = [
    "k[b qz h e] = l2norm(q) | prefill",
    "k[b kn h e] = x[b kn d] wq[d h e] | decode",
    "bucket[b zs qz h nh hb] = q[b qz h e] planes[h e nh hb] | prefill nograd",
    "bucket[b hq h nh hd] = q[b hq h e] planes[h e nh hd] | decode nograd",
]
_ROUNDS = [
    "l[b h y w] = logsumexp(s) | prefill",
    "share[b h y w] = softmax(l) | prefill",
    "m[b h y w e] = mul(o, share) | prefill",
    "o[b qz h e] = add(m) | prefill",
]
