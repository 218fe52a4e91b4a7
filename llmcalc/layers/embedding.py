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
        learned: a table that is computed (sinusoids) is a buffer, not a parameter.
        unused: stored, but never looked up.
    """

    rows: int
    d_model: int
    table: str = "token"
    share: str | None = None
    offset: int = 0
    scale: float = 1.0
    padding_id: int | None = None
    learned: bool = True
    unused: bool = False

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"table": tuple(_ROWS)}
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"offset", "padding_id"})

    def declare(self) -> Declaration:
        """Table ``[rows, d_model]``."""
        rows = _ROWS[self.table]
        declaration = Declaration({rows: self.rows, "d": self.d_model})
        declaration.weights(
            f"w[{rows}; d]", share=self.share, table=self.table, buffer=not self.learned, unused=self.unused
        )
        if not self.unused:
            declaration.equations("y[b q d] = gather(w, ids)")
        return declaration
