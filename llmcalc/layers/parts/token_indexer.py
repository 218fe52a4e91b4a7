"""Options of the indexer that selects tokens for attention (MiniMax M3)."""

from __future__ import annotations

from typing import Any, ClassVar

from ...core.part import Part
from ...core.record import record


@record
class TokenIndexer(Part):
    """Selection of tokens or blocks of tokens by the scores of separate heads.

    Attributes:
        n_heads: number of heads of the indexer.
        dim: width of each indexer head (default: d_head of the layer).
        block: number of tokens per selectable block.
        pooled: whether blocks are scored by their mean key.
        local: number of most recent blocks that are always selected, including the query's block.
        unit_offset: whether the indexer norm weights are stored as ``w - 1``.
        norm_eps: epsilon of the indexer norms.
        top_k: number of selected tokens per query.
    """

    n_heads: int
    dim: int | None = None
    block: int = 1
    pooled: bool = False
    local: int = 0
    unit_offset: bool = False
    norm_eps: float = 1e-6
    top_k: int | None = None

    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"local"})
    SHRINK: ClassVar[dict[str, str]] = {
        "n_heads": "index_heads",
        "dim": "index_dim",
        "block": "index_block 2",
        "local": "keep",
        "top_k": "index_topk 4",
    }

    def layer(self, d_model: int) -> Any:
        """Return the indexer as a layer that the attention layer includes."""
        from ..indexer import Indexer  # not needed without an indexer

        norms = {"key_norm": "rmsnorm", "query_norm": True}
        sizes = d_model, self.n_heads, self.dim or 0
        return Indexer(*sizes, weighted=False, block=self.block, pooled=self.pooled, **norms)  # type: ignore[arg-type]
