"""Small sizes of related fields, such as query and key head counts, for tests of several layer kinds."""

from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from ..core.record import changed

if TYPE_CHECKING:
    from ..core.shrink import Sizes

KEY_HEADS, HEADS_PER_KEY_HEAD = (3, 2, 5, 7), (2, 5, 7, 11)
ROTATED, ROTATED_IN_TWO_DIMENSIONS = (10, 14, 22, 26, 34), (12, 20, 28)


def shrink_heads(
    layer: Any, sizes: Sizes, keys: str = "n_kv_heads", queries: str = "n_heads", together: int = 1
) -> dict[str, Any]:
    """Return the key and query head counts of the small test model.

    Both counts are multiples of ``together``, and the key head count divides the query head count.
    """
    few, many = getattr(layer, keys), getattr(layer, queries)
    small = together * (1 if few == together else sizes.size("n_kv_heads", few, *KEY_HEADS))
    served = 1 if few == many else sizes.size("heads_per_key_head", many // few, *HEADS_PER_KEY_HEAD)
    return {keys: small, queries: small * served}


def shrink_attention(layer: Any, sizes: Sizes, small: dict[str, Any]) -> dict[str, Any]:
    """Return small head counts that divide evenly, even rotary widths, and one scaling factor per rotary pair."""
    found = shrink_heads(layer, sizes, together=layer.HEADS_TOGETHER)
    if layer.indexer and layer.indexer.n_heads == layer.n_kv_heads:
        found["indexer"] = changed(small["indexer"], n_heads=found["n_kv_heads"])
    if layer.rope:
        found["d_head"] = shrink_rotated_head(layer, sizes)
    if layer.d_head_v == layer.d_head:
        found["d_head_v"] = found.get("d_head", small["d_head"])
    return found | {"rope": shrink_rope(layer, small.get("rope"), found.get("d_head", small["d_head"]), layer.d_head)}


def shrink_rotated_head(layer: Any, sizes: Sizes) -> int:
    """Return a small even head width, or a multiple of 4 for two-dimensional rotary positions."""
    if layer.rope.grid == "none":
        return sizes.size("rotated_head", layer.d_head, *ROTATED)
    return sizes.size("turned_head", layer.d_head, *ROTATED_IN_TWO_DIMENSIONS)


def shrink_rope(layer: Any, small: Any, width: int, whole: int | None = None) -> Any:
    """Return the rotary positions ``small``, adapted to the head width of the small test model.

    ``width`` is the small width of the head, or of the part of the head that is always rotated. ``whole`` is the
    original width. If only part of the original head is rotated, an even part of the small head is rotated.
    """
    if small is None:
        return None
    dim = layer.rope.dim and (width if layer.rope.dim == whole else width // 4 * 2)
    if not getattr(small.scaling, "factors", ""):
        return changed(small, dim=dim)
    parts = [list(islice(cycle(part.split()), (dim or width) // 2)) for part in small.scaling.factors.split("|")]
    return changed(small, dim=dim, scaling=changed(small.scaling, factors=" | ".join(map(" ".join, parts))))


def shrink_experts(layer: Any, sizes: Sizes) -> dict[str, Any]:
    """Return the total and active expert counts of the small test model. All experts are active only if all original
    experts are active.
    """
    top_k = min(layer.top_k, 2 + layer.top_k % 2)
    is_dense = layer.top_k == layer.n_experts
    return {"n_experts": top_k if is_dense else sizes.size("n_experts", layer.n_experts), "top_k": top_k}
