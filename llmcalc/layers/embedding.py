"""A look-up table: tokens, absolute positions, segments."""

from __future__ import annotations

from typing import ClassVar

from ..core.declaration import Declaration
from ..core.layer import Layer
from ..core.record import record

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
        use: what its rows are: one for each of the ``tokens``, added to what was looked up before; what each further
            one of several ``copies`` of all tokens begins with (ProphetNet); vectors ``beside`` the tokens (PEGASUS-X);
            sines and cosines of the ``angles`` by which attention in this stack rotates (RoFormer); a single row that
            is added ``everywhere``, as the state that a loop begins with; tokens that stand ``before`` all others (the
            class token of a vision transformer); an ``array`` of vectors that take the place of the stream when
            attention has read it for them (Perceiver).
        edges: instead of by its position, an entry is looked up by each of these edges of a token's box on the page:
            ``left_right``, ``upper_lower``, or by its ``height`` or ``width`` (LayoutLM).
        columns: the entries stand on a grid with this many columns (positions of patches).
        learned: a table that is computed (sinusoids) is a buffer, not a parameter.
        sinusoids: how such a table is computed: sines and cosines ``interleaved`` [vaswani2017], in two ``halves``
            (CTRL), or as in ``fairseq``, in halves down to a wave of 10000 rows a radian, and 0 for the padding.
        unused: stored, but never looked up.
    """

    rows: int
    d_model: int
    table: str = "token"
    share: str | None = None
    offset: int = 0
    scale: float = 1.0
    padding_id: int | None = None
    use: str = "tokens"
    edges: str = "none"
    columns: int | None = None
    learned: bool = True
    sinusoids: str = "interleaved"
    unused: bool = False

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "table": tuple(_ROWS),
        "use": ("tokens", "copies", "beside", "angles", "everywhere", "before", "array"),
        "edges": ("none", "left_right", "upper_lower", "height", "width"),
        "sinusoids": ("interleaved", "halves", "fairseq"),
    }
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"offset", "padding_id"})

    def __post_init__(self) -> None:
        self.check()
        if self.columns:
            self.must_divide("columns", "rows")

    def declare(self) -> Declaration:
        """Table ``[rows, d_model]``."""
        rows = _ROWS[self.table]
        declaration = Declaration({rows: self.rows, "d": self.d_model})
        if self.columns:
            declaration.axes |= {"Ty": self.rows // self.columns, "Tx": self.columns}
            rows = "Ty; Tx"
        declaration.weights(
            f"w[{rows}; d]", share=self.share, table=self.table, buffer=not self.learned, unused=self.unused
        )
        if not self.unused:
            declaration.equations("y[b q d] = gather(w, ids)")
            if self.edges in ("left_right", "upper_lower"):
                declaration.equations("z[b q d] = gather(w, ids)", "y[b q d] = add(y, z)")
        return declaration
