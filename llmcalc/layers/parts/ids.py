"""Indices of the rows that a table looks up."""

from __future__ import annotations

from ...core.part import Part
from ...core.record import record
from ...core.type_names import ClassVar


@record
class Ids(Part):
    """Indices other than all token, position or segment ids.

    Attributes:
        padding: id of the padding token, which uses the row before the first position (RoBERTa).
        dropped: id of tokens with a zero embedding. The other embeddings are scaled up to compensate (ESM).
        replaced: id of the token whose embedding is replaced (``use: replacement`` only).
        own: name of a separate id input for this table (ERNIE tasks, RoCBert shapes). Missing ids are 0.
        column: index of the segment id to look up, if tokens have several segment ids (TAPAS).
        by_cell: whether positions restart in every table cell, given by the second and third segment ids (TAPAS).
        edges: box edges or box size used as the index: ``left_right``, ``upper_lower``, ``height`` or ``width``.
    """

    padding: int | None = None
    dropped: int | None = None
    replaced: int | None = None
    own: str = ""
    column: int | None = None
    by_cell: bool = False
    edges: str = "none"

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"edges": ("none", "left_right", "upper_lower", "height", "width")}
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"padding", "dropped", "replaced", "column"})
    SHRINK: ClassVar[dict[str, str]] = {"padding dropped replaced column": "keep"}

    def n_lookups(self) -> int:
        """Return the number of rows that are looked up and added for each token."""
        return 1 + (self.edges in ("left_right", "upper_lower"))


TOKEN_IDS = Ids()
