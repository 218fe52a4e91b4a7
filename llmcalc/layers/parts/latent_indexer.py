"""Options of the indexer of multi-head latent attention [deepseek2025v32, Section 2]."""

from __future__ import annotations

from typing import Any, ClassVar

from ...core.part import Part
from ...core.record import record


@record
class LatentIndexer(Part):
    """Selection of tokens by the weighted scores of heads that share one key per token.

    Attributes:
        n_heads: number of indexer heads.
        dim: width of each indexer head.
        interleaved: whether the rotated pairs of the indexer are adjacent.
        rotates_end: whether the end of each indexer head is rotated instead of the start.
        compressed, input_norm, position_scaled: as in ``indexer``.
    """

    n_heads: int
    dim: int = 128
    interleaved: bool = False
    rotates_end: bool = False
    compressed: int | None = None
    input_norm: bool = False
    position_scaled: bool = False

    SHRINK: ClassVar[dict[str, str]] = {"n_heads": "index_heads", "dim": "index_dim", "compressed": "2"}

    def layer(self, d_model: int, d_query: int | None) -> Any:
        """Return the indexer as a layer that the attention layer includes."""
        from ..indexer import Indexer  # not needed without an indexer

        more = {name: getattr(self, name) for name in ("compressed", "input_norm", "position_scaled")}
        return Indexer(d_model, self.n_heads, self.dim, d_query, **more)
