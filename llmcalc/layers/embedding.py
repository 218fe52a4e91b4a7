"""A look-up table: tokens, absolute positions, segments."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.errors import SizeError
from ..core.layer import Layer
from ..core.record import record

MOST_CODEBOOKS = 64
ANOTHER = ("z[b q d] = gather(w, ids)", "y[b q d] = add(y, z)")
_ROWS = {"token": "V", "position": "T", "segment": "S", "other": "V"}


@record
class Embedding(Layer):
    """``y = table[ids]``: bytes, but no FLOPs.

    Attributes:
        rows: entries of the table, padding and offset rows included.
        d_model: width of an entry.
        table: what is looked up: ``token``, ``position``, ``segment`` or ``other``.
        share: identity of the table; tables that share one are stored once.
        offset: rows before the first usable position (2 in BART and OPT).
        scale: factor on the entries (Gemma: sqrt(d_model)).
        padding_id: of a position table: tokens of this id don't count, and stand at the row before the first
            (RoBERTa); None: all tokens count.
        dropped_id: tokens of this id have no entry, and those of the others grow by as many (ESM); None: all have one.
        own_ids: name of the ids that its entries are looked up by, if they have ids of their own (ERNIE's tasks,
            RoCBert's shapes and pronunciations); those that are not given are 0.
        use: what the rows are. ``tokens``: one per token, added to the stream. ``joined``: concatenated to it.
            ``copies``: the initial vector of each further copy of all tokens (ProphetNet). ``side_tokens``: a
            separate sequence of vectors, such as global tokens (PEGASUS-X). ``angles``: sines and cosines of the
            rotary angles of this stack's attention (RoFormer). ``everywhere``: one row added to every token, such as
            the initial state of a loop. ``prefix``: tokens before all others, such as a class token. ``suffix``:
            tokens after all others (VideoPrism). ``replacement``: one row in place of a token's own embedding
            (T5Gemma 2's end of an image). ``array``: vectors that replace the stream once attention has read it for
            them (Perceiver).
        codebooks: so many tables, one for each codebook; each has a token at every position, and their entries are
            added (MusicGen).
        token_id: the id of the token that has such a row of its own.
        column: where every token has several segment ids, which one of them is looked up (TAPAS).
        by_cell: positions begin anew in every cell of a table, whose column and row are the second and third of the
            segment ids.
        edges: instead of by its position, an entry is looked up by each of these edges of a token's box on the page:
            ``left_right``, ``upper_lower``, or by its ``height`` or ``width`` (LayoutLM).
        columns: the entries stand on a grid with this many columns (positions of patches).
        learned: a table that is computed (sinusoids) is a buffer, not a parameter.
        sinusoids: how such a table is computed: sines and cosines ``interleaved`` [vaswani2017], in two ``halves``
            (CTRL), or as in ``fairseq``, in halves down to a wave of 10000 rows a radian, and 0 for the padding;
            ``cosines``: as there, but the cosines first (MusicGen).
        blank: number of a row of zeros in such a table (XGLM's padding token's).
        normed: an RMSNorm with a weight on the entries (Inkling).
        norm_eps: added under its root.
        unused: stored, but never looked up.
    """

    rows: int
    d_model: int
    table: str = "token"
    share: str | None = None
    offset: int = 0
    scale: float = 1.0
    padding_id: int | None = None
    dropped_id: int | None = None
    own_ids: str = ""
    use: str = "tokens"
    column: int | None = None
    by_cell: bool = False
    token_id: int | None = None
    codebooks: int | None = None
    edges: str = "none"
    columns: int | None = None
    learned: bool = True
    sinusoids: str = "interleaved"
    blank: int | None = None
    normed: bool = False
    norm_eps: float = 1e-6
    unused: bool = False

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "table": tuple(_ROWS),
        "use": (
            "tokens",
            "joined",
            "copies",
            "side_tokens",
            "angles",
            "everywhere",
            "prefix",
            "suffix",
            "replacement",
            "array",
        ),
        "edges": ("none", "left_right", "upper_lower", "height", "width"),
        "sinusoids": ("interleaved", "halves", "fairseq", "cosines"),
    }
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset(
        {"offset", "padding_id", "dropped_id", "column", "blank", "token_id"}
    )

    def __post_init__(self) -> None:
        self.check()
        if self.codebooks and self.codebooks > MOST_CODEBOOKS:
            raise SizeError(f"codebooks may be up to {MOST_CODEBOOKS}, not {self.codebooks}", where="embedding")
        if self.codebooks and (self.columns or self.use != "tokens" or self.table == "position"):
            raise SizeError("codebooks goes with a table of tokens", where="embedding")
        if self.columns:
            self.must_divide("columns", "rows")
        if self.blank is not None and self.blank >= self.rows:
            raise SizeError(f"blank ({self.blank}) is none of the rows ({self.rows})", where="embedding")
        if (self.use == "replacement") == (self.token_id is None):
            raise SizeError("token_id goes with use: replacement, and only with it", where="embedding")
        if self.use == "replacement" and self.rows != 1:
            raise SizeError(f"use: replacement goes with one row, not {self.rows}", where="embedding")

    def declare(self) -> Declaration:
        """Table ``[rows, d_model]``."""
        rows = _ROWS[self.table]
        declaration = Declaration({rows: self.rows, "d": self.d_model})
        if self.columns:
            declaration.axes |= {"Ty": self.rows // self.columns, "Tx": self.columns}
            rows = "Ty; Tx"
        if self.codebooks:
            declaration.axes["nc"] = self.codebooks
            rows = f"nc; {rows}"
        declaration.weights(
            f"w[{rows}; d]", share=self.share, table=self.table, buffer=not self.learned, unused=self.unused
        )
        if self.normed:
            declaration.weights("norm[d]", table=self.table, unused=self.unused)
        if not self.unused:
            declaration.equations("y[b q d] = gather(w, ids)")
            declaration.equations(*(["y[b q d] = rmsnorm(y, norm)"] if self.normed else []))
            if self.edges in ("left_right", "upper_lower"):
                declaration.equations(*ANOTHER)
            for _ in range(1, self.codebooks or 1):
                declaration.equations(*ANOTHER)
        return declaration
